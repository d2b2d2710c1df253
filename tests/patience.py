"""Waiting for what other processes do: look again until it is so, with a deadline, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 10.0, despite: type[Exception] = AssertionError) -> T:
    """Return the first truthy answer of `look`; `despite` is an error that means "not yet"."""
    deadline = time.monotonic() + within
    while True:
        try:
            if found := look():
                return found
        except despite:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"still not so after {within} seconds"
        time.sleep(0.01)
