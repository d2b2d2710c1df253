"""Long work on the event loop, in turns: others go first every few milliseconds."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from streams.broker.command import Conversation

# How long a batch may keep the event loop at a stretch, in seconds.
_TURN = 0.005

T = TypeVar("T")
R = TypeVar("R")


def in_parts(items: Sequence[T], work: Callable[[T], R]) -> Conversation[list[R]]:
    """Do some work for each item, and let others go first every few milliseconds: a large batch must not keep them."""
    done: list[R] = []
    until = time.monotonic() + _TURN
    for item in items:
        done.append(work(item))
        if time.monotonic() > until:
            yield ()
            until = time.monotonic() + _TURN
    return done
