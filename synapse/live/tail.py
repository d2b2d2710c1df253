"""The read loop of one stream: reads each entry once, and sends it to all watchers."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from synapse.live.query import ReadCursor
from synapse.live.sse import Frame, Gap
from synapse.live.watcher import Ended, StreamSignal, Subscription
from synapse.redis import AsyncExecutor, Command, RedisFailure, ReplyLost, answer
from synapse.redis.commands.streams import Entry, xinfo_stream, xread
from synapse.runtime.backoff import Backoff
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.wire.ids import FIRST, EntryId, parse

BLOCK_SECONDS = 2.0
_AT_ONCE = 200
# The approximate bytes read at once: far fewer than a watcher's queue may hold, so that none overflows.
_BYTES_AT_ONCE = 1024 * 1024
_RECONNECT = Backoff(base=0.1, cap=2.0)

logger = logging.getLogger(__name__)


class Tail:
    """Follows a stream on its own connection to Redis, from `start` until `stop`.

    It survives every failure of Redis and of the stream: no stored entry is left out, and a stream that was deleted and
    created again is read from its beginning, after a notice.
    """

    def __init__(self, stream: str, executor: AsyncExecutor, render: Callable[[Entry], Frame]) -> None:
        self.stream = stream
        self.holders = 0
        self._executor = executor
        self._render = render
        self._cursor = ReadCursor()
        self._watchers: set[Subscription] = set()
        self._bells: set[StreamSignal] = set()
        self._failures = RepeatedFailures()
        self._count = 1
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read. A second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"tail of {self.stream}")
            self._task.add_done_callback(self._on_task_done)

    def stop(self, reason: Ended = "stopping") -> None:
        """Stop reading, end all watchers, and wake all waiting readers."""
        if self._task is not None:
            self._task.cancel()
        self._ring_bells()
        for watcher in self._watchers:
            watcher.end(reason)

    @property
    def is_over(self) -> bool:
        """Whether the tail was stopped or has failed, and cannot be started again."""
        return self._task is not None and (self._task.done() or self._task.cancelling() > 0)

    def attach(self, watcher: Subscription) -> None:
        """Send entries to a watcher until it is detached. The watcher begins at once, or as soon as the end of the
        stream is known.
        """
        if self.is_over:
            watcher.end("stopping")
        if self._cursor.at is not None:
            watcher.begin(self._cursor.at)
        self._watchers.add(watcher)

    def detach(self, watcher: Subscription) -> None:
        """Stop sending entries to a watcher."""
        self._watchers.discard(watcher)

    @contextmanager
    def ringing(self, bell: StreamSignal) -> Iterator[None]:
        """Ring the bell on new entries until the block ends."""
        self._bells.add(bell)
        try:
            yield
        finally:
            self._bells.discard(bell)

    async def _run(self) -> None:
        failures = 0
        try:
            while True:
                try:
                    await self._step()
                except RedisFailure as failure:
                    self._handle_failure(failure)
                    failures += 1
                    await asyncio.sleep(_RECONNECT.delay(failures, random.random()))
                else:
                    self._failures.end()
                    failures = 0
        finally:
            self._executor.close()

    async def _step(self) -> None:
        """Find the end of the stream when the position is not sure; otherwise wait for entries and send them to the
        watchers.
        """
        if self._cursor.at is None or not self._cursor.sure:
            info = await self._execute(xinfo_stream(self.stream))
            self._compare_end(parse(info["last-generated-id"]) if info else FIRST)
            return
        after = str(self._cursor.at)
        entries = await self._execute(xread(self.stream, after, count=self._count, block_ms=int(BLOCK_SECONDS * 1000)))
        if entries:
            await self._hand_out(entries)
            self._count = _count_at_once(entries)
        else:
            # Either nothing is new, or a stream with lower ids has taken the name, from which this read would never
            # return.
            self._cursor.sure = False

    async def _execute(self, command: Command) -> Any:
        (reply,) = await self._executor.execute([command])
        return answer(reply, self.stream)

    def _compare_end(self, last: EntryId) -> None:
        before = self._cursor.at
        if self._cursor.compare(last):
            notice = Gap(stream=self.stream, reason="restarted", after=before or FIRST)
            for watcher in self._watchers:
                watcher.restart(notice)
        if before is None:
            for watcher in self._watchers:
                watcher.begin(last)
        if last != before:
            self._ring_bells()

    async def _hand_out(self, entries: list[Entry]) -> None:
        until = time.monotonic() + TURN
        for entry in entries:
            if self._watchers:
                frame = self._render(entry)
                for watcher in self._watchers:
                    watcher.offer(frame)
            # Set the position before other tasks run: a watcher that joins meanwhile gets the entries after this one.
            self._cursor.advance((parse(entry.id),))
            if time.monotonic() > until:
                await turn_queue.turn()
                until = time.monotonic() + TURN
        self._ring_bells()

    def _ring_bells(self) -> None:
        for bell in self._bells:
            bell.ring()

    def _handle_failure(self, failure: RedisFailure) -> None:
        self._cursor.sure = False
        # An error such as UNBLOCKED or LOADING may concern only this connection: use a new one for the next try.
        self._executor.close()
        # A first lost connection is reported by other users of Redis, and is harmless when the next try works.
        if not isinstance(failure, ReplyLost) and self._failures.is_new(failure.detail):
            logger.warning("the live tail of %s waits: %s", self.stream, failure.detail)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the live tail of %s failed", self.stream, exc_info=error)
            for watcher in self._watchers:
                watcher.end("failed")


def _count_at_once(entries: list[Entry]) -> int:
    """Return the number of entries of this size to read at once."""
    size = sum(len(part) for entry in entries for part in entry.parts) // len(entries)
    return max(1, min(_AT_ONCE, _BYTES_AT_ONCE // max(size, 1)))
