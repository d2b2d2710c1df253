"""The session of one connection that watches streams, for any transport: stored entries in pages, then new ones.

session = GatewaySession(principal)
with session.seated():
    await session.subscribe({"orders": TailQuery()})
    async for items in session.items():
        ...  # write them with `session.positions.advance(item)`; none: a heartbeat is due
    ...  # `session.ended` and `session.reason` say why
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

_PAUSE = 0.5
# Why a session ends: the watcher's reasons, and more streams than one connection watches.
Reason = Ended | Literal["too many"]
_WHY: Mapping[str, str] = {
    "stopping": "the server stops",
    "failed": "the server failed; its log says why",
    "shut out": "show again who you are: your key or your rights changed, or it was long ago",
    "too many": f"there are more than {MOST_STREAMS} streams now: name those that you want",
}


class GatewaySession:
    """Follows streams for one connection.

    Each stream is read in pages first, at the connection's pace. Near its end its subscription begins, which the read
    loop fills, and pages are read up to the exact id of the loop's position then: the subscription has everything after
    it. So no entry is left out between the two, and none comes twice. While one stream is read in pages, the others'
    new entries come in between.

    Attributes:
        followed: the streams that it follows.
        positions: how far the connection is in each of them. The transport calls `passing` or `move` for the
            items that it sends, in order, before it asks for the next ones.
        ended: why no more items come; None before.
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
            ends_when_empty: Whether the session ends when the caller may read none of its streams any more.
            on_left: Is told each stream that was left because the caller may not read it any more.
        """
        self.ended: Reason | None = None
        self._principal = principal
        self._ends_when_empty = ends_when_empty
        self._on_left = on_left
        self._heartbeat: float = settings.LIVE_HEARTBEAT
        self._permission = ViewerPermission(principal)
        self.followed = FollowedStreams(self._permission, pause=min(_PAUSE, self._heartbeat))
        self.positions = self.followed.positions
        self._written = 0.0
        # The predicates of the event types that the caller may see, of streams where those are not all.
        self._sees: dict[str, Callable[[str], bool]] = {}
        # The rights and the catalog by which the streams were checked.
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
        """Why the session ended, in words."""
        return _WHY.get(self.ended or "", "")

    @contextmanager
    def hold_seat(self) -> Iterator[None]:
        """Take one seat of the caller's share for the session, and keep its rights current. All streams are left in the
        end.

        Raises:
            ShareUsedUp, TooManyWatchers, Stopping: as their names say.
        """
        with tails().hold_seat(caller_of(self._principal)), guard.calling(self._check, self._permission):
            try:
                yield
            finally:
                self.followed.leave_all()

    async def subscribe(self, queries: Mapping[str, TailQuery], *, later: TailQuery | None = None) -> None:
        """Follow streams, each from where its query says. Either all of them are followed then, or none.

        Args:
            queries: The query for each stream.
            later: The query for streams that come later, where the caller asks for all streams.

        Raises:
            BadParameter: when there are too many, or one is followed already.
            Forbidden, UnknownStream: when the caller may not read one, or it is not defined.
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
        # The catalog may have changed meanwhile.
        self._checked = None

    async def subscribe_to_all(self, asked: ManyTails) -> None:
        """Follow what a request for many streams asks for; raises as `subscribe`."""
        await self.subscribe(asked.streams, later=asked.later)

    async def items(self) -> AsyncGenerator[Sequence[Item], None]:
        """Yield entries and notices, in order for each stream, and an empty sequence when a heartbeat is due. The
        generator ends with the session. The positions are those behind the yielded entries."""
        self._written = _now()
        while not self._is_over():
            self.followed.left.clear()
            taken, reached = await self._next()
            items = await self._matching(taken)
            if items:
                yield items
                self._written = _now()
            if reached or items is not taken:
                self.followed.move(taken, reached)
            if not items and _now() - self._written >= self._heartbeat:
                yield ()
                self._written = _now()

    # ---- What comes next.

    async def _next(self) -> tuple[Sequence[Item], Mapping[str, EntryId]]:
        """Return what comes next, before the filter, and how far streams are then, beside the items' own ids."""
        followed = self.followed
        if followed.notices:
            notices, followed.notices = followed.notices, []
            return notices, {}
        now, due = _now(), self._written + self._heartbeat
        behind = [stream for stream in followed.behind if stream.has_pages()]
        followed.behind = [stream for stream in followed.behind if not stream.is_live]
        ready = [stream for stream in behind if stream.paused_until <= now]
        if not ready:
            until = min([due, *(stream.paused_until for stream in behind)])
            items = await followed.watcher.next_items(max(until - now, 0.0))
            return items, {} if items else followed.live_positions()
        # Nearly in the order of time: the one that is furthest back continues.
        stream = min(ready, key=lambda stream: stream.pages.after)
        items = await self._catch_up(stream)
        return [*items, *followed.watcher.take_items()], {stream.name: stream.pages.after} if stream.is_open else {}

    async def _catch_up(self, stream: FollowedStream) -> list[Item]:
        """Return the next page of a stream. Near its end, let its subscription begin."""
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

    async def _matching(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the frames that meet the filters of their streams, and notices, yielding to other tasks in between: a
        filter may take long on a large event. The caller's rights may have changed since a frame was queued."""
        if not self.followed.has_filters:
            return self._allowed(items)
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
        return self._allowed(found)

    def _allowed(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of streams that were not left, of event types that the caller may see now."""
        left = self.followed.left
        if not left and not self._sees:
            return items
        return [item for item in items if item.stream not in left and self._may_see(item)]

    def _may_see(self, item: Item) -> bool:
        sees = self._sees.get(item.stream)
        return sees is None or not isinstance(item, Frame) or sees(item.event_type)

    # ---- Streams and rights.

    def _is_over(self) -> bool:
        """Say whether the session has ended. A connection that was too slow for new entries while another stream was
        read in pages is not dropped: all its streams are read in pages again."""
        followed, watcher = self.followed, self.followed.watcher
        if watcher.ended == "slow" and followed.behind:
            followed.begin_again()
        elif watcher.ended is not None and watcher.is_empty:
            self.ended = self.ended or watcher.ended
        elif tails().stopping and len(followed.behind) == len(followed):
            self.ended = "stopping"
        return self.ended is not None

    def _check(self) -> None:
        """End the session when the caller may not watch any more; otherwise apply the current rights: leave the streams
        that may not be read any more, and join those that came."""
        if not self._permission.is_good:
            self._end("shut out")
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
                self._end("shut out")
                return
        if not self.followed.join_later(readable):
            self._end("too many")

    def _end(self, reason: Reason) -> None:
        self.ended = reason
        self.followed.watcher.end("shut out")


def _now() -> float:
    return asyncio.get_running_loop().time()
