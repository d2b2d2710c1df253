"""How far groups are behind, counted from the entries themselves.

Redis' own number is never used: it is absent before 7.0, null after a deletion, and wrong in some versions.

Two other calculations are cheaper: the admin's list of streams tells from the newest entries and the oldest
(`synapse.inspection.stream_stats`), and samples of the statistics from marks (`synapse.statistics.marks`).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synapse.inspection.range_query import MOST_ENTRIES, Scan
from synapse.redis import Command, Conversation, answer, ask
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.wire.ids import LAST, NOTHING, EntryId, Range, following, parse

# A stream and a group of it.
GroupName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The unread events of a group: how many (at least so many, unless `exact`), and since when (ms)."""

    events: int
    exact: bool
    since: int | None

    def seconds(self, now_ms: float) -> float:
        """Return the age of the oldest event that the group has not read, 0 when it has read all."""
        return 0.0 if self.since is None else round(max(0.0, now_ms - self.since) / 1000, 3)


def lags_of(groups: Mapping[GroupName, str], *, most: int = MOST_ENTRIES) -> Conversation[dict[GroupName, Lag]]:
    """Find out the lag of each group from the last id that was delivered to it, counting to `most`.

    The entries of a stream are walked once for all of its groups.
    """
    positions = {name: parse(delivered) for name, delivered in groups.items()}
    by_stream: dict[str, set[EntryId]] = {}
    for (stream, _), position in positions.items():
        by_stream.setdefault(stream, set()).add(position)
    counts = {stream: _Count(stream, sorted(some), most=most) for stream, some in by_stream.items()}
    while going_on := [count for count in counts.values() if not count.done]:
        asked = [(count, command) for count in going_on for command in count.commands()]
        replies = yield from ask([command for _, command in asked])
        found: dict[str, list[Any]] = {}
        for (count, _), reply in zip(asked, replies, strict=True):
            found.setdefault(count.stream, []).append(answer(reply, count.stream, absent=[]))
        for count in going_on:
            count.take(found[count.stream])
    return {(stream, group): counts[stream].lags[position] for (stream, group), position in positions.items()}


class _Count:
    """Counts what lies behind each of some positions in a stream, walking from its end to the first of them.

    Send the `commands()` and give their replies to `take()`, until `done`; then `lags` has each position. The first
    chunk is enough for groups that keep up. Positions further back are asked once for their ends before the walk
    continues: behind a position before all entries is the whole stream, whose length Redis knows.
    """

    def __init__(self, stream: str, positions: Sequence[EntryId], *, most: int) -> None:
        self.stream = stream
        self.lags: dict[EntryId, Lag] = {}
        self._most = most
        unread = NOTHING if positions[0] == LAST else Range(first=following(positions[0]))
        self._scan = Scan(stream, unread, order="newest", most=most)
        # In order; what was counted is taken off the end.
        self._open = list(positions)
        self._counted = 0
        self._oldest: int | None = None
        self._since: dict[EntryId, int] | None = None
        if self._scan.done:
            self._end()

    @property
    def done(self) -> bool:
        return not self._open

    def commands(self) -> list[Command]:
        if self._must_look:
            return [command for position in self._open for command in self._ends(position)] + [
                stream_commands.xlen(self.stream)
            ]
        return [self._scan.command()]

    def take(self, replies: Sequence[Any]) -> None:
        if self._must_look:
            self._look(replies)
        else:
            self._walk(self._scan.take(replies[0]))

    @property
    def _must_look(self) -> bool:
        return self._counted > 0 and self._since is None

    def _ends(self, position: EntryId) -> tuple[Command, Command]:
        """Ask for one entry up to the position, and for the first behind it."""
        return (
            stream_commands.xrange(self.stream, stream_commands.FIRST, str(position), 1),
            stream_commands.xrange(self.stream, str(following(position)), stream_commands.LAST, 1),
        )

    def _look(self, replies: Sequence[Any]) -> None:
        *ends, length = replies
        read, unread = ends[::2], ends[1::2]
        self._since = {
            position: parse(found[0].id).ms for position, found in zip(self._open, unread, strict=True) if found
        }
        # Ids only grow: where nothing lay up to a position, all that was counted after that lies behind it.
        for position in [position for position, found in zip(self._open, read, strict=True) if not found]:
            self._open.remove(position)
            self._settle(position, min(length, self._most), exact=length <= self._most)
        if self._scan.done:
            self._end()

    def _walk(self, entries: Sequence[Entry]) -> None:
        if entries and parse(entries[-1].id) <= self._open[-1]:
            self._stop_within([parse(entry.id) for entry in reversed(entries)])
        if entries:
            self._counted += len(entries)
            self._oldest = parse(entries[-1].id).ms
        if self._scan.exhausted or (self._scan.done and self._since is not None):
            self._end()

    def _stop_within(self, ids: Sequence[EntryId]) -> None:
        """Finish the positions that lie among these entries, which are in order."""
        while self._open and self._open[-1] >= ids[0]:
            position = self._open.pop()
            behind = bisect_right(ids, position)
            since = ids[behind].ms if behind < len(ids) else self._oldest
            self.lags[position] = Lag(events=self._counted + len(ids) - behind, exact=True, since=since)

    def _end(self) -> None:
        """Finish the remaining positions: nothing more is unread, or no more is counted."""
        while self._open:
            self._settle(self._open.pop(), self._counted, exact=self._scan.exhausted)

    def _settle(self, position: EntryId, events: int, *, exact: bool) -> None:
        since = (self._since or {}).get(position, self._oldest) if events else None
        self.lags[position] = Lag(events=events, exact=exact, since=since)
