"""The session of one connection that watches streams, for any transport. It yields stored entries in pages, then new
ones.

session = GatewaySession(principal)
with session.hold_seat():
    await session.subscribe({"orders": TailQuery()})
    async for items in session.items():
        ...  # write each with `session.positions.advance(item)`; no items: write a heartbeat
    ...  # `session.ended` and `session.reason` tell why it ended
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from django.conf import settings

from streams import connections
from streams.connections import render, tails
from streams.live.followed_streams import FollowedStreams
from streams.live.session_revalidation import ViewerPermission, guard
from streams.snapshot import holder
from synapse.auth.permission import demand_right
from synapse.auth.principal import PERSONAL, Principal, Rights
from synapse.catalog.stream_definitions import Snapshot
from synapse.errors.streams import UnknownStream
from synapse.live import Frame, Item
from synapse.live.followed_stream import FollowedStream
from synapse.live.positions import MOST_STREAMS
from synapse.live.query import ALL, ManyTails, TailQuery, check_number, readable_streams
from synapse.live.watcher import Ended
from synapse.problems import BadParameter
from synapse.redis import RedisFailure
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.shares import caller_of
from synapse.wire.ids import EntryId

_RETRY_SECONDS = 0.5
# The reason for which a session ended: one of the watcher's, or more streams than one connection may watch.
Reason = Ended | Literal["too many"]
_REASON_TEXTS: Mapping[str, str] = {
    "stopping": "the server stops",
    "failed": "the server failed; its log says why",
    "shut out": "show again who you are: your key or your rights changed, or it was long ago",
    "too many": f"there are more than {MOST_STREAMS} streams now: name those that you want",
}


class GatewaySession:
    """Follows streams for one connection.

    Each stream is first read in pages, at the connection's pace. Near its end a subscription begins, which the stream's
    read loop fills. Pages are read up to the loop's position at that moment, and the subscription has all later
    entries, so none is left out or sent twice. New entries of other streams are sent between the pages.

    Attributes:
        followed: the streams that the connection follows.
        positions: the connection's position in each stream. The transport passes each item that it sends to `advance`
            or `advance_all`, in order, before it takes further items.
        ended: the reason for which the session ended; None while it lasts.
    """

    def __init__(
        self,
        principal: Principal,
        *,
        ends_when_empty: bool = True,
        on_left: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare a session for a caller.

        Args:
            principal: The caller.
            ends_when_empty: Whether the session ends once the caller may no longer read any of its streams.
            on_left: Called with the name of each stream that was left because the caller may no longer read it.
        """
        self.ended: Reason | None = None
        self._principal = principal
        self._ends_when_empty = ends_when_empty
        self._on_left = on_left
        self._heartbeat: float = settings.LIVE_HEARTBEAT
        self._permission = ViewerPermission(principal)
        self.followed = FollowedStreams(self._permission, pause=min(_RETRY_SECONDS, self._heartbeat))
        self.positions = self.followed.positions
        self._written = 0.0
        # By stream: whether the caller may see an event type. Streams whose event types the caller may all see are
        # absent.
        self._sees: dict[str, Callable[[str], bool]] = {}
        # The rights and the catalog with which the streams were checked last.
        self._checked: tuple[Rights, Snapshot] | None = None

    @property
    def streams(self) -> Sequence[str]:
        """The streams that are followed now."""
        return self.followed.names

    @property
    def rights(self) -> Rights:
        """The caller's current rights."""
        return self._permission.rights

    @property
    def personal(self) -> bool:
        """Whether the caller sees PII."""
        return self.rights.has(PERSONAL)

    @property
    def reason(self) -> str:
        """The reason for which the session ended, as a text for the client."""
        return _REASON_TEXTS.get(self.ended or "", "")

    @contextmanager
    def hold_seat(self) -> Iterator[None]:
        """Hold one seat of the caller's share during the block, and keep the caller's rights current. At the end, leave
        all streams.

        Raises:
            ShareUsedUp, TooManyWatchers, Stopping: as their names say.
        """
        with tails().hold_seat(caller_of(self._principal)), guard.calling(self._apply_rights, self._permission):
            try:
                yield
            finally:
                self.followed.leave_all()

    async def subscribe(self, queries: Mapping[str, TailQuery], *, later: TailQuery | None = None) -> None:
        """Follow streams, each from the position in its query: all of them, or on an error none.

        Args:
            queries: The query for each stream.
            later: The query for streams defined later, where the caller asks for all streams.

        Raises:
            BadParameter: when there are too many streams, or one is followed already.
            Forbidden, UnknownStream: when the caller may not read a stream, or it is not defined.
            WrongType, RedisUnavailable, Stopping: as their names say.
        """
        check_number(len(self.followed) + len(queries))
        for stream in queries:
            demand_right(replace(self._principal, rights=self._permission.rights), "read", stream)
            if stream not in holder.current().streams:
                raise UnknownStream(stream)
            if followed := self.followed.get(stream):
                first = stream if followed.is_named else ALL
                raise BadParameter(
                    f"“{stream}” is followed already. Unsubscribe from “{first}” first.", parameter="stream"
                )
        await self.followed.join(queries, later=later)
        # The catalog may have changed during the request.
        self._checked = None

    async def subscribe_to_all(self, asked: ManyTails) -> None:
        """Follow the streams of a request for many streams; raises as `subscribe`."""
        await self.subscribe(asked.streams, later=asked.later)

    async def items(self) -> AsyncGenerator[Sequence[Item], None]:
        """Yield entries and notices, in order within each stream, and an empty sequence when a heartbeat is due. The
        generator ends with the session. After each step, `positions` are behind the yielded entries.
        """
        self._written = _loop_time()
        while not self._is_over():
            self.followed.left.clear()
            taken, reached = await self._take_next()
            items = await self._filter_items(taken)
            if items:
                yield items
                self._written = _loop_time()
            if reached or items is not taken:
                self.followed.move(taken, reached)
            if not items and _loop_time() - self._written >= self._heartbeat:
                yield ()
                self._written = _loop_time()

    # ---- Reading items.

    async def _take_next(self) -> tuple[Sequence[Item], Mapping[str, EntryId]]:
        """Return the next items, not filtered yet, and by stream the positions that are reached besides the items' own
        ids.
        """
        followed = self.followed
        if followed.notices:
            notices, followed.notices = followed.notices, []
            return notices, {}
        now, due = _loop_time(), self._written + self._heartbeat
        behind = [stream for stream in followed.behind if stream.has_pages()]
        followed.behind = [stream for stream in followed.behind if not stream.is_live]
        ready = [stream for stream in behind if stream.paused_until <= now]
        if not ready:
            until = min([due, *(stream.paused_until for stream in behind)])
            items = await followed.watcher.next_items(max(until - now, 0.0))
            return items, {} if items else followed.live_positions()
        # The stream that is furthest back continues, so that events come nearly in the order of time.
        stream = min(ready, key=lambda stream: stream.pages.after)
        items = await self._catch_up(stream)
        return [*items, *followed.watcher.take_items()], {stream.name: stream.pages.after} if stream.is_open else {}

    async def _catch_up(self, stream: FollowedStream) -> list[Item]:
        """Return the items of a stream's next page. Near the stream's end, begin its subscription."""
        executor = connections.async_executor()
        try:
            if not stream.is_open:
                await self.followed.open([stream])
                return []
            page, items = await stream.next_page(executor)
        except RedisFailure:
            self.followed.pause(stream)
            return []
        items += await stream.render_frames(page, render, lambda: self._permission.may_see(stream.name))
        if page.is_last and stream.subscription is None and self.followed.get(stream.name) is stream:
            stream.attach(self.followed.watcher, self._permission.may_see(stream.name))
        return items

    async def _filter_items(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return notices, and the frames that match their streams' filters and that the caller may see now: rights may
        have changed since a frame was queued. Yields to other tasks, because a filter may take long on a large event.
        """
        if not self.followed.has_filters:
            return self._drop_hidden_items(items)
        found: list[Item] = []
        until = 0.0
        for item in items:
            stream = self.followed.get(item.stream)
            if stream is not None and stream.query.filter is not None and isinstance(item, Frame):
                if time.monotonic() >= until:
                    await turn_queue.turn()
                    until = time.monotonic() + TURN
                row = item.row_for(personal=self.personal)
                if not stream.query.filter.matches({**row, "stream": item.stream}):
                    continue
            found.append(item)
        return self._drop_hidden_items(found)

    def _drop_hidden_items(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items without those of streams that were left, and of event types that the caller may not see
        now.
        """
        left = self.followed.left
        if not left and not self._sees:
            return items
        return [item for item in items if item.stream not in left and self._may_see(item)]

    def _may_see(self, item: Item) -> bool:
        sees = self._sees.get(item.stream)
        return sees is None or not isinstance(item, Frame) or sees(item.event_type)

    # ---- Streams and rights.

    def _is_over(self) -> bool:
        """Say whether the session has ended. A connection that was too slow while it read a stream in pages is not
        dropped: it reads all streams in pages again.
        """
        followed, watcher = self.followed, self.followed.watcher
        if watcher.ended == "slow" and followed.behind:
            followed.begin_again()
        elif watcher.ended is not None and watcher.is_empty:
            self.ended = self.ended or watcher.ended
        elif tails().stopping and len(followed.behind) == len(followed):
            self.ended = "stopping"
        return self.ended is not None

    def _apply_rights(self) -> None:
        """Apply the caller's current rights: end the session when the caller may no longer watch; otherwise leave
        streams that may no longer be read, and join new ones.
        """
        if not self._permission.is_good:
            self._end_session("shut out")
            return
        rights, catalog = self._permission.rights, holder.current()
        if self._checked is not None and self._checked[0] is rights and self._checked[1] is catalog:
            return
        self._checked = (rights, catalog)
        had_any = bool(self.followed)
        self._sees.clear()
        for stream in self.followed:
            if not rights.may("read", stream.name) or not (stream.is_named or stream.name in catalog.streams):
                self.followed.leave(stream.name)
                if self._on_left is not None:
                    self._on_left(stream.name)
                continue
            sees = self._permission.may_see(stream.name)
            if stream.subscription is not None:
                stream.subscription.may_see = sees
            if sees is not None:
                self._sees[stream.name] = sees
        later = self.followed.later
        readable = readable_streams(catalog, rights) if later is not None else []
        if not self.followed and self._ends_when_empty:
            is_waiting = later is not None and (readable or not catalog.streams)
            if had_any and not is_waiting:
                self._end_session("shut out")
                return
        if not self.followed.join_later(readable):
            self._end_session("too many")

    def _end_session(self, reason: Reason) -> None:
        self.ended = reason
        self.followed.watcher.end("shut out")


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
