"""One connection to Redis on the event loop: all commands of one tick of the loop are sent in one write, and replies
come back in order.

A barrier (synapse.redis.commands.server) serves all calls of the tick. Commands queued meanwhile are sent in one write
after the barrier's reply, because the server would not read them earlier.

redis-py opens the connection and logs in; afterwards this module reads and writes the bytes. Compared with redis-py's
own asyncio pipelines, it carried nearly twice the publishes in a measurement, because no task is scheduled for a
command.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hiredis

from synapse.redis.command import Argument, Command
from synapse.redis.errors import RedisUnreachable, ReplyError, ReplyLost

logger = logging.getLogger(__name__)

# The callback that gets the raw replies of a call, or its error.
Taker = Callable[[list[Any] | Exception], None]


@dataclass(slots=True)
class _Waiting:
    """The commands of one call: the number of their replies, and the callback for them."""

    count: int
    size: int
    take: Taker
    replies: list[Any] = field(default_factory=list)
    # The time when the commands were written (event-loop clock, seconds).
    since: float = math.inf


class PipelinedConnection(asyncio.Protocol):
    """Sends commands and gives each caller its replies.

    A reply that takes longer than `timeout` seconds closes the connection: replies are matched by order alone, so a
    late one must never arrive.
    """

    def __init__(self, opened: asyncio.StreamWriter, *, timeout: float) -> None:
        # Kept although only its transport is used: a writer without a reference closes its transport.
        self._opened = opened
        self._transport = opened.transport
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ReplyError)
        self._waiting: deque[_Waiting] = deque()
        self._outgoing: list[bytes] = []
        self._unwritten: list[_Waiting] = []
        # The barriers to send behind the next write, by their words; and the number of barriers of the last write
        # without a reply.
        self._barriers: dict[tuple[Argument, ...], asyncio.Future[list[Any]]] = {}
        self._holding = 0
        self._watch: asyncio.TimerHandle | None = None
        self.pending = 0
        self.pending_bytes = 0
        self.closed = False
        self._transport.set_protocol(self)

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Queue the commands for this tick's write. The future has a raw reply, or a ReplyError, for each.

        The future fails with ReplyLost when the connection ends after the write, and with RedisUnreachable when it
        ended before.
        """
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self.send_for(commands, partial(_set_replies, future))
        return future

    def send_for(self, commands: Sequence[Command], take: Taker) -> None:
        """Queue the commands like `send`. `take` is called as soon as the replies arrive, without waking a task."""
        if self.closed:
            take(RedisUnreachable("The connection to Redis was just lost."))
            return
        # Packed before anything is queued: a command that cannot be packed must not shift the replies of others.
        packed = b"".join([each.packed or hiredis.pack_command(each.words) for each in commands])  # type: ignore[arg-type]
        call = _Waiting(len(commands), len(packed), take)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packed)
        self._unwritten.append(call)
        self._waiting.append(call)
        self.pending += len(commands)
        self.pending_bytes += len(packed)

    def hold(self, barrier: Command) -> asyncio.Future[list[Any]]:
        """Queue a barrier behind this tick's write. All calls with the same barrier get the same future, which must not
        be cancelled.
        """
        future = self._barriers.get(barrier.words)
        if future is None:
            future = self._barriers[barrier.words] = self._loop.create_future()
            # The caller may be gone by then; its exception would be reported as never retrieved.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            future.add_done_callback(self._on_barrier_done)
        return future

    def close(self) -> None:
        """Close the connection. Waiting calls fail."""
        self._transport.abort()
        self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """Pass complete replies to their callers."""
        try:
            self._reader.feed(data)
            gets = self._reader.gets
            while (reply := gets()) is not False:
                if not self._waiting:
                    raise hiredis.ProtocolError("a reply without a command")
                call = self._waiting[0]
                call.replies.append(reply)
                if len(call.replies) == call.count:
                    self._waiting.popleft()
                    self.pending -= call.count
                    self.pending_bytes -= call.size
                    _deliver(call, call.replies)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every waiting call: it is unknown whether commands that were sent took effect."""
        if self.closed:
            return
        self.closed = True
        if self._watch is not None:
            self._watch.cancel()
        reason = f": {exc}" if exc else ""
        waiting, self._waiting = self._waiting, deque()
        self.pending = self.pending_bytes = 0
        barriers = [_Waiting(1, 0, partial(_set_replies, future)) for future in self._barriers.values()]
        for call in [*waiting, *barriers]:
            if call.since == math.inf:
                _deliver(call, RedisUnreachable(f"The connection to Redis was lost{reason}; nothing was sent."))
            else:
                _deliver(call, ReplyLost(f"The connection to Redis was lost before its answer came{reason}."))

    def _flush(self) -> None:
        if self._holding:
            return
        outgoing, self._outgoing = self._outgoing, []
        written, self._unwritten = self._unwritten, []
        if self.closed:
            return
        for words, future in self._barriers.items():
            packed = hiredis.pack_command(words)  # type: ignore[arg-type]
            call = _Waiting(1, len(packed), partial(_set_replies, future))
            outgoing.append(packed)
            written.append(call)
            self._waiting.append(call)
            self.pending += 1
            self.pending_bytes += len(packed)
        self._holding = len(self._barriers)
        self._barriers.clear()
        self._transport.write(b"".join(outgoing))
        # The timeout starts here: a busy event loop must not look like a slow server.
        now = self._loop.time()
        for call in written:
            call.since = now
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._check_oldest)

    def _on_barrier_done(self, _: asyncio.Future[list[Any]]) -> None:
        self._holding -= 1
        if not self._holding and self._outgoing and not self.closed:
            self._flush()

    def _check_oldest(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        oldest = self._waiting[0]
        if oldest.since == math.inf:
            return  # not written yet: the write starts the timer again
        left = oldest.since + self._timeout - self._loop.time()
        if left <= 0:
            self.close()
        else:
            self._watch = self._loop.call_later(left, self._check_oldest)


def _deliver(call: _Waiting, replies: list[Any] | Exception) -> None:
    try:
        call.take(replies)
    except Exception:
        # If one caller's fault were raised here, it would close the connection for all others.
        logger.exception("a caller failed while it received Redis' reply")


def _set_replies(future: asyncio.Future[list[Any]], replies: list[Any] | Exception) -> None:
    """Set the result of a future, unless its caller cancelled it."""
    if future.done():
        return
    if isinstance(replies, Exception):
        future.set_exception(replies)
    else:
        future.set_result(replies)
