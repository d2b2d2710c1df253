"""Waiting for other processes: poll until a condition holds, with a deadline, never for a fixed time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 180.0, despite: type[Exception] = AssertionError) -> T:
    """Return the first truthy answer of `look`; `despite` is an error that means "not yet"."""
    began = time.monotonic()
    deadline = began + within
    while True:
        try:
            if found := look():
                return found
        except despite:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"still not so after {within} seconds"
        # Looking takes the processor from what is waited for: the longer that takes, the less often.
        time.sleep(min(0.1, 0.01 + (time.monotonic() - began) / 20))


@contextmanager
def that_ends(*, within: float = 10.0) -> Iterator[None]:
    """Fail when the block takes this many seconds of processor time: a guard against what grows without end.

    It says nothing of speed, which is measured by `make bench`: a good machine needs a hundredth of the time.
    """
    began = time.process_time()
    yield
    assert time.process_time() - began < within
