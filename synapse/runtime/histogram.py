"""Histograms of durations: buckets that double in width, counted in memory and flushed to Redis with the counters."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

# Upper bounds of the buckets in seconds: from a quarter of a millisecond to 65 s. Longer durations are in a last
# bucket.
BOUNDS: tuple[float, ...] = tuple(0.00025 * 2.0**n for n in range(19))
# The names of the buckets, as in Prometheus, and of the sum of all durations, in microseconds.
NAMES = (*map(str, BOUNDS), "+Inf")
SUM = "sum"
_PLACES = {name: place for place, name in enumerate(NAMES)}


def fields(durations: Sequence[float]) -> dict[str, int]:
    """Return the increments of a histogram's fields in Redis for durations in seconds."""
    counts = Counter(map(partial(bisect_left, BOUNDS), durations))
    return {NAMES[place]: count for place, count in counts.items()} | {SUM: round(sum(durations) * 1_000_000)}


def quantile(part: float, counts: Mapping[str, int]) -> float | None:
    """Return the duration that the given part of all durations does not exceed, None without durations.

    Within a bucket, durations count as evenly distributed, as in Prometheus' `histogram_quantile`.
    """
    sizes = sorted((_PLACES[name], size) for name, size in counts.items() if size and name in _PLACES)
    if not sizes:
        return None
    rank, below = part * sum(size for _, size in sizes), 0
    for place, size in sizes:
        if below + size >= rank and place < len(BOUNDS):
            lower = BOUNDS[place - 1] if place else 0.0
            return lower + (BOUNDS[place] - lower) * max(rank - below, 0) / size
        below += size
    return BOUNDS[-1]
