"""Wait for new entries of a stream: a bounded queue for watchers, and a bell for readers that only need to wake."""

import asyncio
from collections import deque
from collections.abc import Callable, Set
from typing import Literal

from synapse.live.sse import Frame
from synapse.wire.ids import FIRST, EntryId


class StreamSignal:
    """Rings when a stream got entries, and when that cannot be known: after a reconnect, when the loop begins.

    Take the bell first, then read the stream, then wait: an entry stored after the reading rings. A ring may be
    spurious; a ring is never missing while Redis answers.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiting reader, or the next one to wait."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring since the last wait. Return False when there was none in this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


# Queues hold the same frames: together they hold no more than the one that holds the most.
MOST_WAITING = 5000
MOST_WAITING_BYTES = 8 * 1024 * 1024
# The bytes taken at once: about as many as a transport buffers before it tells its writer to wait.
_AT_ONCE = 64 * 1024

Ended = Literal["slow", "stopping", "failed", "shut out"]


class Watcher:
    """Gets the frames of the event types that it asks for (all, when it names none), later than `after`. `may_see` says
    which types it may see; without it, all.

    When its queue grows too long, the queue is dropped and the watcher is `ended`: it comes back later, and reads the
    missed entries from Redis at its own pace.
    """

    def __init__(
        self,
        *,
        event_types: Set[str] = frozenset(),
        after: EntryId = FIRST,
        may_see: Callable[[str], bool] | None = None,
    ) -> None:
        self._event_types = event_types
        self.may_see = may_see
        self._after = after
        self._waiting: deque[Frame] = deque()
        self._bytes = 0
        self._awake: asyncio.Future[None] | None = None
        self.ended: Ended | None = None
        # Everything up to here was taken up or passed over.
        self.seen = after

    def begin(self, at: EntryId) -> None:
        """Begin after this id, and after `after`."""
        self._after = self.seen = max(self._after, at)

    def wants(self, frame: Frame) -> bool:
        """Say whether the frame is of a type that the watcher asks for and may see."""
        return self.wants_type(frame.event_type)

    def wants_type(self, event_type: str) -> bool:
        """Say whether the watcher asks for an event type, and may see it."""
        if self._event_types and event_type not in self._event_types:
            return False
        return self.may_see is None or self.may_see(event_type)

    def offer(self, frame: Frame) -> None:
        """Take up an entry, if it is wanted."""
        if self.ended or frame.id <= self._after:
            return
        self.seen = frame.id
        if self.wants(frame):
            self._take(frame)

    def restart(self, notice: Frame) -> None:
        """Queue the notice that the stream was created again, and that its ids start over."""
        if not self.ended:
            self._after = self.seen = FIRST
            self._take(notice)

    def end(self, reason: Ended) -> None:
        """Offer no more frames. A watcher that stops still gets its queue; one that is slow, or shut out, does not."""
        if self.ended is None:
            self.ended = reason
            if reason in ("slow", "shut out"):
                self._waiting.clear()
            self._wake()

    async def get(self, seconds: float) -> list[Frame]:
        """Return the next frames, up to a bound of their bytes. None after this time, and none after the end."""
        if not self._waiting and not self.ended:
            loop = asyncio.get_running_loop()
            self._awake = loop.create_future()
            alarm = loop.call_later(seconds, self._wake)
            try:
                await self._awake
            finally:
                alarm.cancel()
                self._awake = None
        taken: list[Frame] = []
        size = 0
        while self._waiting and size < _AT_ONCE:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].text)
        self._bytes -= size
        return taken

    def _take(self, frame: Frame) -> None:
        size = len(frame.text)
        # One frame always has room, whatever its size.
        if self._waiting and (len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES):
            self.end("slow")
            return
        self._waiting.append(frame)
        self._bytes += size
        self._wake()

    def _wake(self) -> None:
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)
