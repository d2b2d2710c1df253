"""A limit to the work of one comparison, so that a hostile schema costs a refusal and not a hang.

What is limited is the thread's time on the processor: what else the machine does refuses nobody's schema.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_STEPS_BETWEEN_LOOKS = 32
MAX_STEPS = 1_000_000
MAX_DEPTH = 90
"""Nested comparisons. JSON that is accepted at all is at most 64 levels deep (`core.strict_json`)."""


class OutOfBudget(Exception):
    """The comparison has cost what it may cost."""


class Budget:
    """Counts steps and watches the clock. Whoever loops or descends spends a step. For one thread.

    `until` is a moment of the thread's own clock (`time.thread_time`), in seconds.
    """

    __slots__ = ("_depth", "_steps", "_until")

    def __init__(self, until: float) -> None:
        self._until = until
        self._steps = 0
        self._depth = 0

    @classmethod
    def of(cls, seconds: float) -> "Budget":
        """Return a budget that ends so many seconds from now."""
        return cls(time.thread_time() + seconds)

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            OutOfBudget: when there are too many, or time is up.
        """
        before = self._steps // _STEPS_BETWEEN_LOOKS
        self._steps += steps
        if self._steps // _STEPS_BETWEEN_LOOKS != before:
            if self._steps > MAX_STEPS:
                raise OutOfBudget
            self.look()

    @contextmanager
    def half(self) -> Iterator[None]:
        """Allow half of the time that is left, for an attempt that one can do without.

        Raises:
            OutOfBudget: as ever; whoever asked for the half goes on with the other one.
        """
        until, depth = self._until, self._depth
        self._until = min(until, time.thread_time() + (until - time.thread_time()) / 2)
        try:
            yield
        finally:
            self._until, self._depth = until, depth

    def look(self) -> None:
        """Look at the clock; done before and after work that cannot be interrupted.

        Raises:
            OutOfBudget: when time is up.
        """
        if time.thread_time() > self._until:
            raise OutOfBudget

    def enter(self) -> None:
        """Go one level down.

        Raises:
            OutOfBudget: when that is too deep.
        """
        self._depth += 1
        self.spend()
        if self._depth > MAX_DEPTH:
            raise OutOfBudget

    def leave(self) -> None:
        """Come back up."""
        self._depth -= 1
