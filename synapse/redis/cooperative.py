"""Long work on the event loop, in turns: others go first every few milliseconds."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from synapse.redis.commands.base import Conversation
from synapse.runtime.turn_queue import TURN

# Work for so many items is not begun before it is its turn: many such may come in the same moment.
MANY = 200

T = TypeVar("T")
R = TypeVar("R")


def in_parts(items: Sequence[T], work: Callable[[T], R], *, at_once: int = 1) -> Conversation[list[R]]:
    """Do some work for each item, and let others go first every few milliseconds: a large batch must not keep them.

    The clock is looked at after every `at_once` items: for light work that look is much of it.
    """
    if len(items) > MANY:
        yield ()
    done: list[R] = []
    until = time.monotonic() + TURN
    for start in range(0, len(items), at_once):
        done += [work(item) for item in items[start : start + at_once]]
        if time.monotonic() > until:
            yield ()
            until = time.monotonic() + TURN
    return done
