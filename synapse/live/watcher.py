"""Waiting for new entries of a stream: a bounded queue for watchers, and a signal for readers that only need to
wake.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Set
from itertools import islice
from typing import Literal

from synapse.live.sse import Frame, Gap, Item
from synapse.wire.ids import FIRST, EntryId


class StreamSignal:
    """Rings when a stream got entries, and when that is unknown: after a reconnect, and when the loop begins.

    Take the signal first, then read the stream, then wait: an entry that is stored after the read rings. A ring may be
    spurious; none is missed while Redis answers.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiting reader, or the next one to wait."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring since the last wait. Return False when there was none within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


# All queues share the same frames, so together they hold no more than the longest one.
MOST_WAITING = 5000
MOST_WAITING_BYTES = 8 * 1024 * 1024
# The bytes taken at once: about the size of a transport's buffer, beyond which a writer has to wait.
_AT_ONCE = 64 * 1024
# The size of a notice in the accounting of a queue.
_NOTICE_BYTES = 200

Ended = Literal["slow", "stopping", "failed", "shut out"]


class WakeUps:
    """Wakes the watchers of an event loop together.

    The more watchers there are, the longer entries are collected first: waking a watcher costs the same for one entry
    as for three, of whichever streams.
    """

    # Seconds to collect for each watcher, and at most.
    EACH, MOST = 0.00005, 0.04
    # The number of watchers woken before other work of the event loop gets its turn.
    AT_ONCE = 100

    def __init__(self) -> None:
        # The watchers to wake in the next round, and those that the current round has still to wake.
        self._due: dict[Watcher, None] = {}
        self._round: dict[Watcher, None] = {}
        self._is_planned = False
        self._last = float("-inf")
        self._gather = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, watcher: "Watcher") -> None:
        """Wake a watcher soon, together with others."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Callbacks of a stopped loop never run.
            self._due.clear()
            self._round.clear()
            self._loop, self._is_planned, self._last = loop, False, float("-inf")
        if watcher not in self._round:
            self._due[watcher] = None
        self._plan(loop)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Plan the next round, unless one is planned or continues."""
        if self._due and not self._is_planned:
            self._is_planned = True
            loop.call_at(max(self._last + self._gather, loop.time()), self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        # A watcher that becomes due again meanwhile waits for the next round. Otherwise a round that takes longer than
        # the next entry would never end, and nothing would be collected.
        self._round, self._due = self._due, {}
        self._gather = min(len(self._round) * self.EACH, self.MOST)
        self._last = loop.time()
        self._wake_some(loop)

    def _wake_some(self, loop: asyncio.AbstractEventLoop) -> None:
        for watcher in list(islice(self._round, self.AT_ONCE)):
            del self._round[watcher]
            watcher.wake()
        if self._round:
            loop.call_soon(self._wake_some, loop)
        else:
            self._is_planned = False
            self._plan(loop)


class Watcher:
    """The queue of one connection, for all its streams together.

    When the queue grows too long, it is dropped and the watcher is `ended`: its client reconnects later, and reads the
    missed entries from Redis at its own pace.
    """

    def __init__(self, wake_ups: WakeUps) -> None:
        self._wake_ups = wake_ups
        self._waiting: deque[Item] = deque()
        # The items in the queue and in those of its subscriptions, and their bytes.
        self._count = self._bytes = 0
        self._awake: asyncio.Future[None] | None = None
        # Ends a wait. When the timer fires before `_wakes_at`, it is set again.
        self._alarm: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self.ended: Ended | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the queue is empty."""
        return not self._waiting

    def end(self, reason: Ended) -> None:
        """Accept no more items. A watcher that stops still gets its queue; one that is slow or shut out does not."""
        if self.ended is None:
            self.ended = reason
            if reason in ("slow", "shut out"):
                self._waiting.clear()
            self.wake()

    async def next_items(self, seconds: float) -> list[Item]:
        """Return the next items up to `_AT_ONCE` bytes. Return none after this many seconds, after `wake`, and after
        the end.
        """
        if not self._waiting and not self.ended:
            loop = asyncio.get_running_loop()
            self._awake = loop.create_future()
            self._wakes_at = loop.time() + seconds
            # A new timer for each wait would cost more than the wait itself, because most waits end long before.
            if self._alarm is None or self._alarm.when() > self._wakes_at:
                self._set_alarm(loop)
            try:
                await self._awake
            finally:
                self._awake = None
        return self.take_items()

    def close(self) -> None:
        """Cancel the timer, so that the event loop keeps no reference."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._alarm = loop.call_at(self._wakes_at, self._on_alarm, loop)

    def _on_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        if loop.time() < self._wakes_at:
            self._set_alarm(loop)
        else:
            self.wake()

    def take_items(self) -> list[Item]:
        """Return the next items in the queue, up to `_AT_ONCE` bytes."""
        taken: list[Item] = []
        size = 0
        while self._waiting and size < _AT_ONCE:
            item = self._waiting.popleft()
            taken.append(item)
            size += _size_of(item)
        self._bytes -= size
        self._count -= len(taken)
        return taken

    def put(self, item: Item, queue: deque[Item] | None = None) -> None:
        """Add an item to the queue, or to the queue of a subscription that holds it back."""
        size = _size_of(item)
        # One item of any size always fits.
        if self._count and (self._count >= MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES):
            self.end("slow")
            return
        self._count += 1
        self._bytes += size
        if queue is None:
            self._waiting.append(item)
            if self._awake is not None:
                self._wake_ups.add(self)
        else:
            queue.append(item)

    def release(self, queue: deque[Item]) -> None:
        """Move the items that a subscription held back to the queue."""
        self._waiting += queue
        queue.clear()

    def drop_stream(self, stream: str, held: deque[Item]) -> None:
        """Drop the items of a stream, and those that its subscription holds back."""
        kept = deque(item for item in self._waiting if item.stream != stream)
        dropped = [item for item in self._waiting if item.stream == stream] + list(held)
        self._waiting = kept
        held.clear()
        self._count -= len(dropped)
        self._bytes -= sum(map(_size_of, dropped))

    def wake(self) -> None:
        """Let a waiting `next_items` return."""
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)


def _size_of(item: Item) -> int:
    return len(item.body) if isinstance(item, Frame) else _NOTICE_BYTES


class Subscription:
    """The part of a watcher that belongs to one stream.

    It gets the frames later than `after` of the event types that the watcher asks for (all types, when it names none).
    Frames are held back until `go_live`, so that the stored ones up to `begins` can be sent first.

    Attributes:
        may_see: the predicate of the event types that the watcher may see; None for all.
        begins: the position of the read loop when it began to offer frames; None until known.
        seen: the position up to which all entries were queued or left out.
    """

    __slots__ = ("_after", "_event_types", "_held", "_watcher", "begins", "may_see", "seen", "stream")

    def __init__(
        self,
        watcher: Watcher,
        stream: str,
        *,
        event_types: Set[str] = frozenset(),
        after: EntryId = FIRST,
        may_see: Callable[[str], bool] | None = None,
    ) -> None:
        self._watcher = watcher
        self._event_types = event_types
        # None after `go_live`.
        self._held: deque[Item] | None = deque()
        self._after = after
        self.stream = stream
        self.may_see = may_see
        self.begins: EntryId | None = None
        self.seen = after

    def begin(self, at: EntryId) -> None:
        """Begin after `at`, or after `after` when that is later."""
        self.begins = at
        self._after = self.seen = max(self._after, at)
        self._watcher.wake()

    def go_live(self) -> None:
        """Stop holding frames back."""
        if self._held is not None:
            self._watcher.release(self._held)
            self._held = None

    def leave(self) -> None:
        """Drop this stream's items from the watcher's queue."""
        self._watcher.drop_stream(self.stream, self._held or deque())

    def wants_type(self, event_type: str) -> bool:
        """Say whether the watcher asks for an event type, and may see it."""
        if self._event_types and event_type not in self._event_types:
            return False
        return self.may_see is None or self.may_see(event_type)

    def offer(self, frame: Frame) -> None:
        """Queue an entry, if it is wanted."""
        if self._watcher.ended or frame.id <= self._after:
            return
        self.seen = frame.id
        if self.wants_type(frame.event_type):
            self._watcher.put(frame, self._held)

    def restart(self, notice: Gap) -> None:
        """Queue the notice that the stream was created again and its ids start over."""
        if not self._watcher.ended:
            self._after = self.seen = FIRST
            self._watcher.put(notice, self._held)

    def end(self, reason: Ended) -> None:
        """End the watcher with all its streams."""
        self._watcher.end(reason)
