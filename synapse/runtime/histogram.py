"""Histograms of durations: buckets that double in width, counted in memory and flushed to Redis with the counters."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

# The upper bounds of the buckets in seconds, from a quarter of a millisecond to 65 s. Longer durations are in a last
# bucket.
BOUNDS: tuple[float, ...] = tuple(0.00025 * 2.0**n for n in range(19))
# The names of the buckets, as in Prometheus, and the name of the sum of all durations in microseconds.
NAMES = (*map(str, BOUNDS), "+Inf")
SUM = "sum"
_PLACES = {name: place for place, name in enumerate(NAMES)}


def fields(durations: Sequence[float]) -> dict[str, int]:
    """Return the increments of a histogram's fields in Redis for durations in seconds."""
    counts = Counter(map(partial(bisect_left, BOUNDS), durations))
    return {NAMES[place]: count for place, count in counts.items()} | {SUM: round(sum(durations) * 1_000_000)}


def quantiles(parts: Iterable[float], counts: Mapping[str, int]) -> list[float]:
    """Return for each part of all durations, from 0 to 1, the duration in seconds that this part does not exceed.
    Return an empty list without durations.

    Durations within a bucket are taken as evenly distributed, as in Prometheus' `histogram_quantile`.

    Args:
        parts: the parts, from the smallest to the largest.
        counts: the number of durations by bucket.
    """
    sizes = sorted((_PLACES[name], size) for name, size in counts.items() if size and name in _PLACES)
    if not sizes:
        return []
    total = sum(size for _, size in sizes)
    buckets, below = iter(sizes), 0
    place, size = next(buckets)
    found = []
    for rank in (part * total for part in parts):
        while below + size < rank and (following := next(buckets, None)) is not None:
            below += size
            place, size = following
        if place == len(BOUNDS):
            found.append(BOUNDS[-1])
            continue
        lower = BOUNDS[place - 1] if place else 0.0
        found.append(lower + (BOUNDS[place] - lower) * max(rank - below, 0) / size)
    return found
