"""The streams that one connection follows, and its position in each."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streams import connections
from streams.connections import tails
from streams.live.session_revalidation import ViewerPermission
from streams.snapshot import holder
from synapse.live import Item, Watcher
from synapse.live.followed_stream import FollowedStream
from synapse.live.positions import MOST_STREAMS, Positions, start_of_new_stream
from synapse.live.query import TailQuery, readable_streams
from synapse.redis import RedisFailure, together
from synapse.wire.ids import EntryId


class FollowedStreams:
    """The streams of a connection, by name. Each is read in pages until they reach the position of the stream's read
    loop.

    Args:
        permission: the caller's current rights.
        pause: the seconds until a failed stream is read again.

    Attributes:
        positions: the connection's position in each stream.
        watcher: receives the new entries of all streams.
        behind: the streams that are read in pages; their new entries wait.
        later: the query for streams defined later; None where all streams are named.
        notices: notices to send.
        left: streams that were left since the session last yielded items.
        has_filters: whether the query of any stream has a filter.
    """

    def __init__(self, permission: ViewerPermission, *, pause: float) -> None:
        self.positions = Positions()
        self.watcher = Watcher(tails().wake_ups)
        self.behind: list[FollowedStream] = []
        self.later: TailQuery | None = None
        self.notices: list[Item] = []
        self.left: set[str] = set()
        self.has_filters = False
        self._permission = permission
        self._pause = pause
        self._streams: dict[str, FollowedStream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[FollowedStream]:
        return iter(list(self._streams.values()))

    @property
    def names(self) -> Sequence[str]:
        """The names of the streams."""
        return list(self._streams)

    def get(self, name: str) -> FollowedStream | None:
        """Return a stream, None when it is not followed."""
        return self._streams.get(name)

    async def join(self, queries: Mapping[str, TailQuery], *, later: TailQuery | None) -> None:
        """Follow streams, each from the position in its query: all of them, or on an error none.

        Raises:
            WrongType, RedisUnavailable, Stopping: as their names say.
        """
        if later is not None:
            self.later, self.positions.of_all = later, True
        try:
            await self.open([self.add(stream, query, is_named=later is None) for stream, query in queries.items()])
        except BaseException:
            for stream in queries:
                self.leave(stream)
            raise
        self.watcher.wake()

    def join_later(self, readable: Iterable[str]) -> bool:
        """Follow newly readable streams, where all streams are followed. Return False when there are too many."""
        new = [stream for stream in readable if stream not in self._streams]
        if len(self._streams) + len(new) > MOST_STREAMS:
            return False
        if new and self.later is not None and not tails().stopping:
            for stream in new:
                self.add(stream, replace(self.later, after=start_of_new_stream(), was_seen=False), is_named=False)
            self.watcher.wake()
        return True

    def add(self, name: str, query: TailQuery, *, is_named: bool) -> FollowedStream:
        """Add a stream that is not opened yet.

        Raises:
            Stopping: when the server stops.
        """
        stream = self._streams[name] = FollowedStream.of(tails().join(name), query, is_named=is_named)
        self.behind.append(stream)
        self.has_filters |= query.filter is not None
        if query.after is not None:
            self.positions.set(name, query.after)
        return stream

    async def open(self, streams: Sequence[FollowedStream]) -> None:
        """Compare the positions of streams with their ends, in one round trip. Where all streams are followed, one that
        cannot be read is tried again later and does not delay the others.

        Raises:
            WrongType, RedisUnavailable: when a named stream, or every followed stream, cannot be read.
        """
        asking = {stream.name: stream.read_newest_id() for stream in streams}
        newest: dict[str, Any] = await connections.async_executor().run(together(asking))
        failures = {name: reply for name, reply in newest.items() if isinstance(reply, RedisFailure)}
        for stream in streams:
            if stream.name in failures and (stream.is_named or len(failures) == len(self._streams)):
                raise failures[stream.name]
        for stream in streams:
            if stream.name in failures:
                self.pause(stream)
            elif self._streams.get(stream.name) is stream and not stream.is_open:
                if notice := stream.open(newest[stream.name]):
                    self.notices.append(notice)
                self.positions.set(stream.name, stream.pages.after)
                if stream.pages.after == newest[stream.name]:
                    stream.attach(self.watcher, self._permission.may_see(stream.name))

    def pause(self, stream: FollowedStream) -> None:
        """Let a failed stream be read again only after the pause."""
        stream.pause_until(asyncio.get_running_loop().time() + self._pause)

    def leave(self, name: str) -> None:
        """Leave a stream. Its waiting items are not sent."""
        found = self._streams.pop(name, None)
        if found is None:
            return
        found.detach()
        tails().leave(found.tail)
        self.positions.remove(name)
        self.left.add(name)
        self.behind = [each for each in self.behind if each is not found]
        self.notices = [notice for notice in self.notices if notice.stream != name]

    def leave_named(self, name: str) -> bool:
        """Leave a stream that was named. Where all streams are followed as well, continue with it as one of them after
        its last event. Return whether it continues.
        """
        after, rights = self.positions.position_of(name), self._permission.rights
        self.leave(name)
        if self.later is None or name not in readable_streams(holder.current(), rights):
            return False
        self.add(name, self.later.resumed(after), is_named=False)
        self.watcher.wake()
        return True

    def leave_unnamed(self) -> None:
        """Leave the streams that were not named, and stop following streams defined later."""
        self.later, self.positions.of_all = None, False
        for stream in self:
            if not stream.is_named:
                self.leave(stream.name)

    def leave_all(self) -> None:
        """Leave all streams, and take no more of their entries."""
        self.watcher.close()
        for stream in self:
            self.leave(stream.name)

    def begin_again(self) -> None:
        """Read all streams in pages again from the connection's positions, and drop the waiting items."""
        self.watcher.close()
        self.watcher = Watcher(tails().wake_ups)
        for stream in self:
            if stream.is_open:
                stream.begin_again(self.positions.position_of(stream.name))
        self.behind = list(self)

    def live_positions(self) -> dict[str, EntryId]:
        """Return the positions of the read loops, by stream. Empty unless all of their entries were sent or filtered
        out: none waits, and none was dropped.
        """
        if self.watcher.ended or not self.watcher.is_empty:
            return {}
        return {
            stream.name: stream.subscription.seen
            for stream in self._streams.values()
            if stream.is_live and stream.subscription is not None
        }

    def move(self, items: Iterable[Item], reached: Mapping[str, EntryId]) -> None:
        """Move the positions behind items, and to the ids that streams have reached without items, except in streams
        that were left.
        """
        self.positions.advance_all(item for item in items if item.stream not in self.left)
        for stream, id_ in reached.items():
            if stream not in self.left:
                self.positions.set(stream, id_)
