"""How long a run measures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rounds of each contender and their length; `limit` (seconds) is when no further row is begun."""

    name: str
    rounds: int
    seconds: int
    warm_up: int
    limit: float


QUICK = Plan(name="quick", rounds=2, seconds=2, warm_up=1, limit=100)
FULL = Plan(name="full", rounds=5, seconds=6, warm_up=2, limit=780)
