"""The parts of a benchmark as values: plans, rows, their limits, and results."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


class NotMeasured(Exception):
    """A value cannot be measured here; the message gives the reason in a few words, for the table."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One value, measured once a round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The result of a row's measure: Synapse's value and the peer's, None when there is no peer here.

    `notes` are remarks for readers; `rounds` has the facts of each round for the JSON, Synapse's first.
    """

    ours: Samples
    peer: Samples | None = None
    unit: str
    notes: Sequence[str] = ()
    rounds: Sequence[object] = field(default_factory=tuple)

    @property
    def ratio(self) -> float | None:
        """Synapse's median, divided by the peer's."""
        return self.ours.median / self.peer.median if self.peer else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """The goal of a row: limits on the ratio to the peer, and on Synapse's own value. A row without limits has no
    goal."""

    ratio_at_least: float | None = None
    ratio_at_most: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def met(self, measured: Measured) -> bool | None:
        """Whether the goal is reached; None without a goal, or when the peer that it needs is missing."""
        checks = [
            (measured.ratio, self.ratio_at_least, 1),
            (measured.ratio, self.ratio_at_most, -1),
            (measured.ours.median, self.at_least, 1),
            (measured.ours.median, self.at_most, -1),
        ]
        asked = [(found, limit, sign) for found, limit, sign in checks if limit is not None]
        if any(found is not None and sign * found < sign * limit for found, limit, sign in asked):
            return False
        return True if asked and all(found is not None for found, _, _ in asked) else None

    def __str__(self) -> str:
        limits = [
            (">= ", self.ratio_at_least, "x"),
            ("<= ", self.ratio_at_most, "x"),
            (">= ", self.at_least, ""),
            ("<= ", self.at_most, ""),
        ]
        return ", ".join(f"{sign}{limit:,g}{unit}" for sign, limit, unit in limits if limit is not None) or "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The number of rounds of each contender, and their length. After `limit` seconds, no further row begins.

    `contracts` and `waiting` are the highest numbers of contracts and waiting events in rows about many.
    """

    name: str
    rounds: int
    seconds: int
    warm_up: int
    limit: float
    contracts: int
    waiting: int


QUICK = Plan(name="quick", rounds=1, seconds=1, warm_up=0, limit=95, contracts=1_000, waiting=100_000)
FULL = Plan(name="full", rounds=5, seconds=3, warm_up=1, limit=810, contracts=10_000, waiting=1_000_000)
