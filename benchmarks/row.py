"""A row of the benchmark, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.stage import Stage
from benchmarks.values import Bar, Measured


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is measured beside what, what is to be reached, and who measures it."""

    name: str
    work: str
    peer: str
    bar: Bar
    measure: Callable[[Stage], Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A row and what was measured, or why nothing was."""

    row: Row
    measured: Measured | None = None
    why_not: str = ""
