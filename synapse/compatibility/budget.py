"""The limit on the work of one comparison: a hostile schema is refused, and cannot keep a process busy.

The limit counts steps and not time, so the result does not depend on the machine or its load. A step is some ten
microseconds of processor time; slower work, such as compiling a schema, spends several steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager

MAX_DEPTH = 90
"""The limit on nested comparisons. Accepted JSON is at most 64 levels deep (`synapse.formats.strict_json`)."""


class OutOfBudget(Exception):
    """The budget of the comparison is spent."""


class Budget:
    """Counts down the steps that are left. Loops and nested comparisons spend them."""

    __slots__ = ("_depth", "left")

    def __init__(self, steps: int) -> None:
        self.left = steps
        self._depth = 0

    def spend(self, steps: int = 1) -> None:
        """Spend steps.

        Raises:
            OutOfBudget: when none are left.
        """
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget

    @contextmanager
    def limit(self, steps: int) -> Iterator[None]:
        """Allow at most `steps` of the steps that are left, within the block.

        Raises:
            OutOfBudget: when they are spent; the other steps are available again after the block.
        """
        kept, depth = max(0, self.left - max(0, steps)), self._depth
        self.left -= kept
        try:
            yield
        finally:
            self.left, self._depth = max(0, self.left) + kept, depth

    @contextmanager
    def limit_to_half(self) -> Iterator[None]:
        """Allow half of the steps that are left, within the block: for an attempt that may fail.

        Raises:
            OutOfBudget: when they are spent; the other half is left.
        """
        with self.limit(self.left // 2):
            yield

    def enter(self) -> None:
        """Enter a nested comparison.

        Raises:
            OutOfBudget: when it is nested too deeply, or no steps are left.
        """
        self._depth += 1
        self.spend()
        if self._depth > MAX_DEPTH:
            raise OutOfBudget

    def leave(self) -> None:
        """Leave a nested comparison."""
        self._depth -= 1
