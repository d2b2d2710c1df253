"""Found events over time: a bounded number of intervals that begin at multiples of their length."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, count

from synapse.wire.ids import MOST

MOST_INTERVALS = 60
# Lengths of intervals in milliseconds. Each divides the next one, so that intervals of two answers can be added.
_LENGTHS = (
    *(100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000),
    *(3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000),
)
_Interval = dict[str, int]


def count_by_interval(moments: Sequence[int]) -> list[_Interval]:
    """Return the number of times in each interval, from that of the first time to that of the last.

    All times are milliseconds since 1970; `to` of an interval is `from` of the next one.
    """
    if not moments:
        return []
    length = length_of(min(moments), max(moments))
    found = Counter(moment // length for moment in moments)
    return [
        # Limited, since other programs may give an entry any id, and 2**64 cannot be written as JSON.
        {"from": number * length, "to": min((number + 1) * length, MOST), "count": found[number]}
        for number in range(min(found), max(found) + 1)
    ]


def length_of(first: int, last: int) -> int:
    """Return the shortest length with which fewer than MOST_INTERVALS + 1 intervals cover a time range."""
    longer = (_LENGTHS[-1] << power for power in count(1))
    return next(each for each in chain(_LENGTHS, longer) if last // each - first // each < MOST_INTERVALS)
