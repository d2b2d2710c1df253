"""The lag of groups, counted from the entries themselves.

Redis' own number is never used: it is absent before 7.0, null after a deletion, and wrong in some versions.

Two cheaper calculations exist: the admin's list of streams estimates from the newest and the oldest entries
(`synapse.inspection.stream_stats`), and samples of the statistics use marks (`synapse.statistics.marks`).
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

# The names of a stream and of a group of that stream.
GroupName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The unread events of a group.

    `events` is their number, or a lower bound when it is not `exact`. `since` is the time of the oldest (milliseconds
    since 1970), None without unread events.
    """

    events: int
    exact: bool
    since: int | None

    def seconds(self, now_ms: float) -> float:
        """Return the age of the oldest unread event in seconds, 0 when the group has read all."""
        return 0.0 if self.since is None else round(max(0.0, now_ms - self.since) / 1000, 3)


def lags_of(groups: Mapping[GroupName, str], *, most: int = MOST_ENTRIES) -> Conversation[dict[GroupName, Lag]]:
    """Count the lag of each group from the last id delivered to it, up to `most` events.

    The entries of a stream are read once for all of its groups.
    """
    positions = {name: parse(delivered) for name, delivered in groups.items()}
    by_stream: dict[str, set[EntryId]] = {}
    for (stream, _), position in positions.items():
        by_stream.setdefault(stream, set()).add(position)
    counts = {stream: _LagCount(stream, sorted(some), most=most) for stream, some in by_stream.items()}
    while unfinished := [count for count in counts.values() if not count.done]:
        asked = [(count, command) for count in unfinished for command in count.commands()]
        replies = yield from ask([command for _, command in asked])
        found: dict[str, list[Any]] = {}
        for (count, _), reply in zip(asked, replies, strict=True):
            found.setdefault(count.stream, []).append(answer(reply, count.stream, absent=[]))
        for count in unfinished:
            count.take_replies(found[count.stream])
    return {(stream, group): counts[stream].lags[position] for (stream, group), position in positions.items()}


class _LagCount:
    """Counts the entries behind each of several positions in a stream, reading from the end of the stream backwards.

    Send the `commands()` and give their replies to `take_replies()`, until `done`; then `lags` has each position. The
    first chunk suffices for groups that keep up. For positions further back, the entries around them are read once
    before the scan continues: if no entry precedes a position, its lag is the length of the stream.
    """

    def __init__(self, stream: str, positions: Sequence[EntryId], *, most: int) -> None:
        self.stream = stream
        self.lags: dict[EntryId, Lag] = {}
        self._most = most
        unread = NOTHING if positions[0] == LAST else Range(first=following(positions[0]))
        self._scan = Scan(stream, unread, order="newest", most=most)
        # Positions in ascending order; finished ones are removed from the end.
        self._open = list(positions)
        self._counted = 0
        self._oldest: int | None = None
        self._since: dict[EntryId, int] | None = None
        if self._scan.done:
            self._finish_all()

    @property
    def done(self) -> bool:
        return not self._open

    def commands(self) -> list[Command]:
        if self._needs_entries_around:
            return [command for position in self._open for command in self._commands_around(position)] + [
                stream_commands.xlen(self.stream)
            ]
        return [self._scan.command()]

    def take_replies(self, replies: Sequence[Any]) -> None:
        if self._needs_entries_around:
            self._use_entries_around(replies)
        else:
            self._count_chunk(self._scan.take_chunk(replies[0]))

    @property
    def _needs_entries_around(self) -> bool:
        return self._counted > 0 and self._since is None

    def _commands_around(self, position: EntryId) -> tuple[Command, Command]:
        """Return the commands that read one entry up to the position, and the first one behind it."""
        return (
            stream_commands.xrange(self.stream, stream_commands.FIRST, str(position), 1),
            stream_commands.xrange(self.stream, str(following(position)), stream_commands.LAST, 1),
        )

    def _use_entries_around(self, replies: Sequence[Any]) -> None:
        *ends, length = replies
        read, unread = ends[::2], ends[1::2]
        self._since = {
            position: parse(found[0].id).ms for position, found in zip(self._open, unread, strict=True) if found
        }
        # Ids only grow: when no entry precedes a position, all entries of the stream are behind it.
        for position in [position for position, found in zip(self._open, read, strict=True) if not found]:
            self._open.remove(position)
            self._finish(position, min(length, self._most), exact=length <= self._most)
        if self._scan.done:
            self._finish_all()

    def _count_chunk(self, entries: Sequence[Entry]) -> None:
        if entries and parse(entries[-1].id) <= self._open[-1]:
            self._stop_within([parse(entry.id) for entry in reversed(entries)])
        if entries:
            self._counted += len(entries)
            self._oldest = parse(entries[-1].id).ms
        if self._scan.exhausted or (self._scan.done and self._since is not None):
            self._finish_all()

    def _stop_within(self, ids: Sequence[EntryId]) -> None:
        """Finish the positions that lie among these entries, which are in ascending order."""
        while self._open and self._open[-1] >= ids[0]:
            position = self._open.pop()
            behind = bisect_right(ids, position)
            since = ids[behind].ms if behind < len(ids) else self._oldest
            self.lags[position] = Lag(events=self._counted + len(ids) - behind, exact=True, since=since)

    def _finish_all(self) -> None:
        """Finish the remaining positions: all unread entries were counted, or the limit was reached."""
        while self._open:
            self._finish(self._open.pop(), self._counted, exact=self._scan.exhausted)

    def _finish(self, position: EntryId, events: int, *, exact: bool) -> None:
        since = (self._since or {}).get(position, self._oldest) if events else None
        self.lags[position] = Lag(events=events, exact=exact, since=since)
