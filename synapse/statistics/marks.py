"""How far groups are behind, without walking through their streams.

Redis counts the entries that were ever added to a stream. A mark says how many had been added by an entry's id. The lag
of a group is what was added since the mark at or before its last delivered id, less the entries between the two, which
lie within one interval of sampling. Entries near the end of the stream are counted.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from synapse.redis.commands.statistics import RangeCount, StreamSample
from synapse.wire.ids import FIRST, EntryId, parse, preceding

# The greatest number of entries that are counted one by one for a group, and the number of marks that are kept of a
# stream: the older half is thinned out when there are more.
MOST_COUNTED, MOST_MARKS = 1000, 256
_END = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The unread events of a group: how many, whether that is exact, and when the oldest was added (ms)."""

    events: int
    exact: bool
    since: int | None


READ_ALL = Lag(events=0, exact=True, since=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The lag of a group that has not read all, before the entries of `ranges` are counted.

    Attributes:
        ranges: the first is what the group has not read, the second what lies between its mark and the last it read.
        estimate: how many events the group has not read, by marks; None when there are no marks.
        is_bounded: whether the estimate is right but for the second range.
    """

    ranges: Sequence[tuple[str, str, int]]
    estimate: int | None
    is_bounded: bool

    @property
    def most(self) -> int:
        """How many entries may be counted."""
        return sum(most for _, _, most in self.ranges)

    def lag(self, counted: Sequence[RangeCount]) -> Lag:
        """Return the lag that follows from the counted entries."""
        unread = counted[0]
        since = parse(unread.first_id).ms if unread.first_id else None
        if unread.size < self.ranges[0][2] or self.estimate is None:
            return Lag(events=unread.size, exact=unread.size < self.ranges[0][2], since=since)
        between = counted[1].size if len(counted) > 1 else 0
        return Lag(events=max(self.estimate - between, unread.size), exact=self.is_bounded, since=since)


class Marks:
    """The marks of one stream."""

    def __init__(self) -> None:
        self._ids: list[EntryId] = []
        self._added: list[int] = []
        self._sample = StreamSample(0, "0-0", 0, "0-0", "0-0", 0)
        self._first = self._last = FIRST

    def note(self, sample: StreamSample) -> None:
        """Set a mark at the stream's latest entry. Those of a stream that was created again are dropped.

        Args:
            sample: the stream at this moment, of which `lag` tells from then on.
        """
        self._sample, self._first, self._last = sample, parse(sample.first_id), parse(sample.last_id)
        if sample.added < 0:
            return
        last = self._last
        if self._ids and (last < self._ids[-1] or sample.added < self._added[-1]):
            self._ids, self._added = [], []
        if not self._ids or last > self._ids[-1]:
            self._ids.append(last)
            self._added.append(sample.added)
        if len(self._ids) > MOST_MARKS:
            for kept in (self._ids, self._added):
                del kept[1 : MOST_MARKS // 2 : 2]

    def lag(self, delivered_id: str, *, most: int = MOST_COUNTED) -> Lag | Question:
        """Return the lag of a group that has read up to an id, or the range to count for it.

        Args:
            delivered_id: the last entry that was delivered to the group.
            most: how many entries may be counted.
        """
        sample = self._sample
        if not sample.length or delivered_id == sample.last_id:
            return READ_ALL
        delivered, first = parse(delivered_id), self._first
        if delivered >= self._last:
            return READ_ALL
        if delivered < first:
            return Lag(events=sample.length, exact=True, since=first.ms)
        if sample.added < 0:
            return Question(ranges=[(delivered_id, _END, most)], estimate=None, is_bounded=False)
        ids, added = self._since_first()
        place = bisect_right(ids, delivered) - 1
        # The latest entry is a mark itself.
        begin, end = ids[place], ids[place + 1]
        size = added[place + 1] - added[place]
        behind = sample.added - added[place]
        deleted = parse(sample.deleted_id) > begin
        part = (delivered.ms - begin.ms) / max(end.ms - begin.ms, 1)
        estimate = behind - round(size * part)
        if behind < most or (behind - size < most and (deleted or size >= most)):
            # The unread entries may be few enough to be counted themselves. Deleted entries are not counted then.
            return Question(ranges=[(delivered_id, _END, most)], estimate=estimate, is_bounded=False)
        if size < most:
            ranges = [(delivered_id, _END, 1), (str(begin), delivered_id, most)]
            return Question(ranges=ranges, estimate=behind, is_bounded=not deleted)
        return Question(ranges=[(delivered_id, _END, 1)], estimate=estimate, is_bounded=False)

    def _since_first(self) -> tuple[list[EntryId], list[int]]:
        """Return the marks from the stream's first entry on: what lies before it was added and is gone."""
        before = preceding(self._first)
        place = bisect_right(self._ids, before)
        return [before, *self._ids[place:]], [self._sample.added - self._sample.length, *self._added[place:]]
