"""The lag of groups, computed without reading their streams.

Redis counts the entries that were ever added to a stream. A mark is the number of entries that had been added up to an
id. The lag of a group is the number of entries added since the mark at or before its last delivered id, minus the
entries between these two, which are within one sampling interval. Entries near the end of the stream are counted.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from synapse.redis.commands.statistics import RangeCount, StreamSample
from synapse.wire.ids import FIRST, EntryId, parse, preceding

# The greatest number of entries that are counted one by one for a group; and the number of marks that are kept for a
# stream. When there are more, the older half is thinned out.
MOST_COUNTED, MOST_MARKS = 1000, 256
_END = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The unread events of a group: their number, whether it is exact, and the time when the oldest was added
    (milliseconds since 1970).
    """

    events: int
    exact: bool
    since: int | None


READ_ALL = Lag(events=0, exact=True, since=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The lag of a group that has not read all, before the entries of `ranges` are counted.

    Attributes:
        ranges: the first range has the unread entries, the second the entries between the mark and the last
            delivered one.
        estimate: the number of unread events according to marks; None without marks.
        is_bounded: whether the estimate is exact except for the second range.
    """

    ranges: Sequence[tuple[str, str, int]]
    estimate: int | None
    is_bounded: bool

    @property
    def most(self) -> int:
        """The greatest number of entries to count."""
        return sum(most for _, _, most in self.ranges)

    def lag(self, counted: Sequence[RangeCount]) -> Lag:
        """Return the lag after the entries were counted."""
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
        """Set a mark at the stream's latest entry. The marks of a stream that was deleted and created again are
        dropped.

        Args:
            sample: the stream at this moment, to which later calls of `lag` refer.
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
            most: the greatest number of entries to count.
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
        # The latest entry has a mark.
        begin, end = ids[place], ids[place + 1]
        size = added[place + 1] - added[place]
        behind = sample.added - added[place]
        deleted = parse(sample.deleted_id) > begin
        part = (delivered.ms - begin.ms) / max(end.ms - begin.ms, 1)
        estimate = behind - round(size * part)
        if behind < most or (behind - size < most and (deleted or size >= most)):
            # The unread entries may be few enough to count them directly; deleted entries are then not included.
            return Question(ranges=[(delivered_id, _END, most)], estimate=estimate, is_bounded=False)
        if size < most:
            ranges = [(delivered_id, _END, 1), (str(begin), delivered_id, most)]
            return Question(ranges=ranges, estimate=behind, is_bounded=not deleted)
        return Question(ranges=[(delivered_id, _END, 1)], estimate=estimate, is_bounded=False)

    def _since_first(self) -> tuple[list[EntryId], list[int]]:
        """Return the marks from the stream's first entry on. Entries before it were added and are gone."""
        before = preceding(self._first)
        place = bisect_right(self._ids, before)
        return [before, *self._ids[place:]], [self._sample.added - self._sample.length, *self._added[place:]]
