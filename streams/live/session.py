"""One viewer's live tail, from the first frame to the last: stored entries page by page, then entries as they come."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from core import payload_access
from core.database import checked_connections
from streams import connections
from streams.connections import render, tails
from streams.live.session_revalidation import ViewerPermission, guard
from synapse.auth.principal import PERSONAL, Principal
from synapse.endpoints import Call
from synapse.http.exchange import StreamedResponse
from synapse.live import Frame, Tail, Tails, Watcher, sse
from synapse.live.query import LiveQuery, TailQuery, asked
from synapse.live.watcher import MOST_WAITING, Ended
from synapse.redis import Conversation, RedisFailure, answer, ask
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.shares import caller_of
from synapse.wire.fast_decoder import type_of_parts
from synapse.wire.ids import FIRST, LAST, EntryId, following, parse

_FIRST, _MOST = 10, 100
# About how many bytes of entries a page is to hold: one who catches up must not keep others waiting.
_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, oldest first. `is_last`: the requested range has no more. `has_gap`: the entry before the page is gone,
    and older ones too, so entries between may be missing.
    """

    entries: list[Entry]
    is_last: bool
    has_gap: bool


class Pages:
    """Reads a stream forward from `after`. `was_seen`: the reader had the entry of that id."""

    def __init__(self, stream: str, after: EntryId, *, was_seen: bool) -> None:
        self._stream = stream
        self._was_seen = was_seen
        self._count = _FIRST
        self.after = after

    async def next(self, until: EntryId = LAST) -> Page:
        """Return the next page, up to an id.

        Raises:
            WrongType, RedisUnavailable: as their names say; the same page can be asked for again.
        """
        page = await connections.async_executor().run(self._ask(until))
        if page.entries:
            self.after, self._was_seen = parse(page.entries[-1].id), True
            size = sum(len(part) for entry in page.entries for part in entry.parts) // len(page.entries)
            self._count = min(_MOST, max(1, _BYTES // max(size, 1)))
        elif page.has_gap:
            # It was told once.
            self._was_seen = False
        return page

    def begin_again(self, at: EntryId) -> None:
        """Continue reading after another id, which the reader never had."""
        self.after, self._was_seen = at, False

    def _ask(self, until: EntryId) -> Conversation[Page]:
        # The entry that the reader had comes again: if it is there, nothing behind it was trimmed.
        first = self.after if self._was_seen else following(self.after)
        read = stream_commands.xrange(self._stream, str(first), str(until), self._count + 1)
        # Asked after the page: what is trimmed between the two is then noticed rather than missed.
        replies = yield from ask([read, stream_commands.xinfo_stream(self._stream)])
        found, info = (answer(reply, self._stream, absent=[]) for reply in replies)
        is_last = len(found) <= self._count
        has_gap = False
        if self._was_seen:
            if found and parse(found[0].id) == self.after:
                found = found[1:]
            else:
                has_gap = self._may_lack_some(info)
        return Page(entries=found, is_last=is_last, has_gap=has_gap)

    def _may_lack_some(self, info: Mapping[str, Any]) -> bool:
        """Say whether entries after the reader's position may be gone: there were some, and the oldest that is left
        lies behind it.
        """
        if not info or parse(info["last-generated-id"]) <= self.after:
            return False
        oldest = info["first-entry"]
        return oldest is None or parse(oldest.id) > self.after


_PAUSE = 0.5
_WHY: Mapping[Ended, str] = {
    "stopping": "the server stops",
    "failed": "the server failed; its log says why",
    "shut out": "show again who you are: your key or your rights changed, or it was long ago",
}


class ViewerFrames:
    """Writes the frames of one viewer.

    First it reads the stream in pages, at the viewer's pace. Near the end it opens a queue that the read loop fills,
    and reads pages up to the exact id of the loop's position then: the queue has everything after it. So no entry is
    left out between the two, and none comes twice.
    """

    def __init__(self, stream: str, asked: TailQuery, tails: Tails, *, heartbeat: float, principal: Principal) -> None:
        self._stream = stream
        self._asked = asked
        self._tails = tails
        self._heartbeat = heartbeat
        self._pages = Pages(stream, asked.after or FIRST, was_seen=asked.was_seen)
        self._written = 0.0
        self._pass = ViewerPermission(principal, stream)
        self._caller = caller_of(principal)
        self._is_shut_out = False
        self._watcher: Watcher | None = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield chunks of frames until the server ends the session. The generator is closed when the viewer
        disconnects.

        Raises:
            WrongType, RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: before the first frame; later none.
        """
        with self._tails.seat(self._stream, self._caller) as tail, guard.calling(self._check, self._pass):
            yield await self._opening()
            self._written = _now()
            async for chunk in self._stored(tail):
                self._written = _now()
                yield chunk
            watcher = self._watcher = self._fresh_watcher()
            if why := self._why_over(tail):
                yield sse.bye(_WHY[why], self._pages.after)
                return
            with tail.watched_by(watcher) as begins:
                async for chunk in self._pages_until(begins, watcher):
                    self._written = _now()
                    yield chunk
                self._pages.after = max(self._pages.after, begins)
                async for chunk in self._coming(watcher, self._pages.after):
                    yield chunk

    def _check(self) -> None:
        """End the session when the caller may not watch any more; otherwise apply the current rights."""
        if not self._pass.is_good:
            self._is_shut_out = True
            if self._watcher is not None:
                self._watcher.end("shut out")
        elif self._watcher is not None:
            self._watcher.may_see = self._pass.may_see

    @property
    def _personal(self) -> bool:
        return self._pass.rights.has(PERSONAL)

    def _fresh_watcher(self) -> Watcher:
        return Watcher(event_types=self._asked.event_types, after=self._pages.after, may_see=self._pass.may_see)

    def _why_over(self, tail: Tail) -> Ended | None:
        if self._is_shut_out:
            return "shut out"
        if self._tails.stopping:
            return "stopping"
        return "failed" if tail.is_over else None

    async def _opening(self) -> bytes:
        newest = await connections.async_executor().run(self._newest())
        at = self._asked.after
        if at is None or (at > newest and not self._asked.was_seen):
            # A moment to come: a clock that is ahead means now.
            self._pages.begin_again(newest)
        elif at > newest:
            # The id is of a stream that is no more.
            self._pages.begin_again(FIRST)
            return sse.opening(FIRST) + sse.gap("restarted", at)
        return sse.opening(self._pages.after)

    def _newest(self) -> Conversation[EntryId]:
        (reply,) = yield from ask([stream_commands.xinfo_stream(self._stream)])
        info = answer(reply, self._stream)
        return parse(info["last-generated-id"]) if info else FIRST

    async def _stored(self, tail: Tail) -> AsyncGenerator[bytes, None]:
        """Yield the stored entries, almost to the newest, and wait until the read loop has its position."""
        async for chunk in self._pages_until(LAST, None):
            yield chunk
        while not self._why_over(tail) and not await tail.ready(min(_PAUSE, self._heartbeat)):
            if self._is_silent():
                yield sse.heartbeat(self._pages.after)

    async def _pages_until(self, until: EntryId, watcher: Watcher | None) -> AsyncGenerator[bytes, None]:
        """Yield the stored entries up to an id. While Redis is unavailable, wait for it and send heartbeats."""
        is_last = self._pages.after >= until
        while not (is_last or self._is_shut_out or self._tails.stopping or (watcher and watcher.ended)):
            before = self._pages.after
            try:
                page = await self._pages.next(until)
            except RedisFailure:
                await asyncio.sleep(min(_PAUSE, self._heartbeat))
            else:
                is_last = page.is_last
                notice = sse.gap("trimmed", before) if page.has_gap else b""
                if chunk := notice + await self._written_page(page):
                    yield chunk
                    continue
            if self._is_silent():
                yield sse.heartbeat(self._pages.after)

    async def _coming(self, watcher: Watcher, sent: EntryId) -> AsyncGenerator[bytes, None]:
        """Yield the entries from the read loop until the watcher is ended."""
        while True:
            found = await watcher.get(self._heartbeat)
            if found:
                sent = found[-1].id
                if chunk := sse.joined(await self._matching(found), personal=self._personal):
                    self._written = _now()
                    yield chunk
                elif self._is_silent():
                    self._written = _now()
                    yield sse.heartbeat(sent)
            elif watcher.ended == "slow":
                connections.counters.add(self._stream, "live_dropped")
                yield sse.dropped(sent, limit=MOST_WAITING)
                return
            elif watcher.ended:
                yield sse.bye(_WHY[watcher.ended], sent)
                return
            else:
                sent = watcher.seen
                self._written = _now()
                yield sse.heartbeat(sent)

    async def _written_page(self, page: Page) -> bytes:
        """Return the frames of the entries that match, yielding to other tasks in between: many viewers may catch up at
        once.
        """
        found: list[Frame] = []
        until = 0.0
        for entry in page.entries:
            # By a clock that goes on meanwhile: the loop's own may stand still within a turn.
            if time.monotonic() >= until:
                await turn_queue.turn()
                until = time.monotonic() + TURN
            watcher = self._fresh_watcher()
            # Most of what is not wanted is told by its type's own bytes.
            event_type = type_of_parts(entry.parts)
            if event_type is None or watcher.wants_type(event_type):
                frame = render(self._stream, entry)
                found += [frame] if watcher.wants(frame) else []
        return sse.joined(await self._matching(found), personal=self._personal)

    async def _matching(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames that meet the viewer's filter, and notices, yielding to other tasks in between: a filter
        may take long on a large event."""
        if self._asked.filter is None:
            return frames
        found: list[Frame] = []
        until = 0.0
        for frame in frames:
            if time.monotonic() >= until:
                await turn_queue.turn()
                until = time.monotonic() + TURN
            row = frame.row_for(personal=self._personal)
            if row is None or self._asked.filter.matches({**row, "stream": self._stream}):
                found.append(frame)
        return found

    def _is_silent(self) -> bool:
        return _now() - self._written >= self._heartbeat


def _now() -> float:
    return asyncio.get_running_loop().time()


async def live(call: Call[LiveQuery, None]) -> StreamedResponse:
    """Answer `GET /streams/{stream}/live`: the stream's events from now on, or from the requested position.

    Raises:
        BadParameter: when an id or a time cannot be used.
        Forbidden, UnknownStream, WrongType, RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: as their names
                say.
    """
    stream, by = call.stream, call.by
    following = ViewerFrames(stream.name, asked(call), tails(), heartbeat=settings.LIVE_HEARTBEAT, principal=by)
    if by.kind == "person":
        await asyncio.to_thread(_record, by, stream.name)
    return await sse.streamed(following.chunks())


@checked_connections()
def _record(by: Principal, stream: str) -> None:
    payload_access.record_watching(by, f"stream {stream}")
