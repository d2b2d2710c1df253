"""A limit to the work of one comparison, so that a hostile schema costs a refusal and not a hang.

The limit counts steps and not time, so the same question has the same answer on every machine, busy or not. A step is
some ten microseconds of a processor; slower work, such as compiling a schema, spends as many steps as it takes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_DEPTH = 90
"""Nested comparisons. JSON that is accepted at all is at most 64 levels deep (`synapse.formats.strict_json`)."""


class OutOfBudget(Exception):
    """The budget of the comparison is spent."""


class Budget:
    """Counts down the steps that are left. Loops and descents spend them."""

    __slots__ = ("_depth", "left")

    def __init__(self, steps: int) -> None:
        self.left = steps
        self._depth = 0

    def spend(self, steps: int = 1) -> None:
        """Count steps.

        Raises:
            OutOfBudget: when there are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget

    @contextmanager
    def limited(self, steps: int) -> Iterator[None]:
        """Allow no more than so many of the steps that are left.

        Raises:
            OutOfBudget: when they are spent; what was kept back is there again afterwards.
        """
        kept, depth = max(0, self.left - max(0, steps)), self._depth
        self.left -= kept
        try:
            yield
        finally:
            self.left, self._depth = max(0, self.left) + kept, depth

    @contextmanager
    def half(self) -> Iterator[None]:
        """Allow half of the steps that are left, for an attempt that one can do without.

        Raises:
            OutOfBudget: when they are spent; the other half is left.
        """
        with self.limited(self.left // 2):
            yield

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
