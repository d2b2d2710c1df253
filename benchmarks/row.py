"""A row of the benchmark, and its result."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.stage import Stage
from benchmarks.values import Bar, Measured


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the measured program, its peer, the goal, and the measure."""

    name: str
    work: str
    peer: str
    bar: Bar
    measure: Callable[[Stage], Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A row with its results, or with the reason why it has none."""

    row: Row
    measured: Measured | None = None
    why_not: str = ""
