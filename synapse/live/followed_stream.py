"""One stream of a connection, from the requested position to the end of the stream."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from synapse.live.pages import Page, Pages
from synapse.live.query import TailQuery
from synapse.live.sse import Frame, Gap, Item
from synapse.live.tail import Tail
from synapse.live.watcher import Subscription, Watcher
from synapse.redis import AsyncExecutor, Conversation, answer, ask
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.wire.fast_decoder import type_of_parts
from synapse.wire.ids import FIRST, LAST, EntryId, parse


@dataclass(eq=False, slots=True, kw_only=True)
class FollowedStream:
    """A stream that a connection follows: its stored entries are read in pages up to the position of the read loop, and
    then the read loop sends the new ones.

    Attributes:
        tail: the read loop of the stream.
        query: the requested events and the position.
        is_named: whether the caller named the stream, rather than all streams.
        pages: reads the stored entries.
        subscription: gets the read loop's entries; None before the pages come near the end of the stream.
        is_open: whether the position was compared with the end of the stream.
        is_live: whether the pages have reached the position of the read loop.
        until: the last id to read in pages.
        paused_until: after a failure, the time of the next try (event-loop clock, seconds).
    """

    tail: Tail
    query: TailQuery
    is_named: bool
    pages: Pages
    subscription: Subscription | None = None
    is_open: bool = False
    is_live: bool = False
    until: EntryId = LAST
    paused_until: float = 0.0

    @classmethod
    def of(cls, tail: Tail, query: TailQuery, *, is_named: bool) -> "FollowedStream":
        """Return the stream that a tail reads, at the position that the query asks for."""
        pages = Pages(tail.stream, query.after or FIRST, was_seen=query.was_seen)
        return cls(tail=tail, query=query, is_named=is_named, pages=pages)

    @property
    def name(self) -> str:
        """The name of the stream."""
        return self.tail.stream

    def read_newest_id(self) -> Conversation[EntryId]:
        """Read the last id of the stream, 0-0 when there is no stream.

        Raises:
            WrongType, RedisUnavailable: when the stream cannot be read.
        """
        (reply,) = yield from ask([stream_commands.xinfo_stream(self.name)])
        info = answer(reply, self.name)
        return parse(info["last-generated-id"]) if info else FIRST

    def open(self, newest: EntryId) -> Gap | None:
        """Begin behind the requested position. Return a notice when its id belongs to an earlier stream of this
        name.
        """
        after, was_seen = self.query.after, self.query.was_seen
        self.is_open = True
        if after is None or (after > newest and not was_seen):
            # The requested time is in the future (a client's clock is ahead): begin at the newest entry.
            self.pages.begin_again(newest)
        elif after > newest:
            self.pages.begin_again(FIRST)
            return Gap(stream=self.name, reason="restarted", after=after)
        return None

    def pause_until(self, until: float) -> None:
        """Do not ask a failed stream again before `until` (event-loop clock, seconds).

        When only new events were requested, those that are stored from now on are read afterwards.
        """
        self.paused_until = until
        if self.query.after is None:
            self.query = replace(self.query, after=EntryId(int(time.time() * 1000), 0))
            self.pages = Pages(self.name, self.query.after or FIRST, was_seen=False)

    def attach(self, watcher: Watcher, may_see: Callable[[str], bool] | None) -> None:
        """Attach to the read loop. The subscription holds its entries back until the pages have reached the position
        where it began.
        """
        self.subscription = Subscription(
            watcher, self.name, event_types=self.query.event_types, after=self.pages.after, may_see=may_see
        )
        self.tail.attach(self.subscription)

    def detach(self) -> None:
        """End the subscription, and drop the items in the queue."""
        if self.subscription is not None:
            self.tail.detach(self.subscription)
            self.subscription.leave()

    def begin_again(self, after: EntryId) -> None:
        """Read pages again, behind an entry that the caller has."""
        self.detach()
        self.query = self.query.resumed(after)
        self.pages = Pages(self.name, after, was_seen=self.query.was_seen)
        self.subscription, self.is_open, self.is_live, self.until = None, False, False, LAST

    def has_pages(self) -> bool:
        """Say whether there is a page to read. When the pages have reached the read loop's position, make the stream
        live.
        """
        if self.is_live or self.subscription is None:
            return not self.is_live
        begins = self.subscription.begins
        if begins is None:
            return False
        if self.pages.after >= begins:
            self.is_live = True
            self.subscription.go_live()
            return False
        self.until = begins
        return True

    async def next_page(self, executor: AsyncExecutor) -> tuple[Page, list[Item]]:
        """Return the next page, with a notice when entries before it may be missing.

        Raises:
            WrongType, RedisUnavailable: when the stream cannot be read; the call can be repeated for the same page.
        """
        before = self.pages.after
        page = await self.pages.next(executor, self.until)
        if page.is_last and self.subscription is not None:
            self.pages.after = max(self.pages.after, self.until)
        return page, [Gap(stream=self.name, reason="trimmed", after=before)] if page.has_gap else []

    async def render_frames(
        self, page: Page, render: Callable[[str, Entry], Frame], may_see: Callable[[], Callable[[str], bool] | None]
    ) -> list[Item]:
        """Return the frames of the entries of the wanted types. Yields to other tasks in between, because many viewers
        may catch up at once.

        Args:
            page: The entries.
            render: Makes a frame of an entry.
            may_see: Returns the current predicate of the event types that the caller may see, None for all.
        """
        found: list[Item] = []
        until = 0.0
        for entry in page.entries:
            # The event loop's own clock may stand still within a turn; this one does not.
            if time.monotonic() >= until:
                await turn_queue.turn()
                until = time.monotonic() + TURN
            sees = may_see()
            # Most unwanted entries are recognized by the bytes of their type, without decoding.
            event_type = type_of_parts(entry.parts)
            if event_type is None or self.query.wants(event_type, sees):
                frame = render(self.name, entry)
                found += [frame] if self.query.wants(frame.event_type, sees) else []
        return found
