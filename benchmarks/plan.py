"""How long a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rounds of each contender and their length; `limit` (seconds) is when no further row is begun.

    `contracts` and `waiting` are how many there are at the most where a row is about many of them.
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
