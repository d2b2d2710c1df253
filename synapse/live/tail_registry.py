"""All tails of a process, and the number of live viewers of each stream over all processes.

A tail starts with its first watcher, and ends a little after the last one leaves. Every process reports its viewers
once a second, and the sum is shown.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from synapse.errors.streams import Stopping, TooManyWatchers
from synapse.live.sse import Frame
from synapse.live.tail import BLOCK_SECONDS, Tail
from synapse.live.watcher import StreamSignal, WakeUps
from synapse.redis import AsyncExecutor, Conversation, ReplyError, Server, ask, keyspace
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.streams import Entry
from synapse.shares import AllInUse, CallerId, Shares

# A reader that reloads a page reconnects at once.
LINGER_SECONDS = 5.0
# The connection counts as dead when a reply takes longer.
PATIENCE_SECONDS = BLOCK_SECONDS + 3


class Tails:
    """The tails of a process's event loop, by stream.

    Attributes:
        shares: the seats of all connections, over all streams.
        wake_ups: wakes the watchers.
        stopping: whether the server is about to stop.
    """

    def __init__(
        self, server: Server, render: Callable[[str, Entry], Frame], *, shares: Shares, linger: float = LINGER_SECONDS
    ) -> None:
        self._server = replace(server, timeout=PATIENCE_SECONDS)
        self._render = render
        self.shares = shares
        self._linger = linger
        self._tails: dict[str, Tail] = {}
        self._seats: Counter[str] = Counter()
        self.wake_ups = WakeUps()
        self.stopping = False

    def join(self, stream: str) -> Tail:
        """Return the stream's tail for a connection that has a seat. The connection calls `leave` at its end.

        Raises:
            Stopping: when the server is about to stop.
        """
        tail = self._hold(stream)
        self._seats[stream] += 1
        return tail

    def leave(self, tail: Tail) -> None:
        """Give the tail back that `join` returned."""
        self._seats[tail.stream] -= 1
        self._release(tail)

    @contextmanager
    def hold_seat(self, caller: CallerId) -> Iterator[None]:
        """Hold a seat for a caller's connection until the block ends, however many streams it watches.

        Raises:
            ShareUsedUp: when the caller has as many seats as one caller may.
            TooManyWatchers: when no seat is free.
            Stopping: when the server is about to stop.
        """
        try:
            self.shares.take(caller)
        except AllInUse:
            raise TooManyWatchers(self.shares.limits.total) from None
        try:
            self._refuse_when_stopping()
            yield
        finally:
            self.shares.give_back(caller)

    @contextmanager
    def bell(self, stream: str) -> Iterator[StreamSignal]:
        """Return a bell that rings when the stream gets entries, until the block ends. Takes no seat.

        Raises:
            Stopping: when the server is about to stop.
        """
        bell = StreamSignal()
        tail = self._hold(stream)
        try:
            with tail.ringing(bell):
                yield bell
        finally:
            self._release(tail)

    def watching(self) -> dict[str, int]:
        """Return the number of watching connections by stream."""
        return {stream: count for stream, count in self._seats.items() if count}

    def stop(self) -> None:
        """End all watchers, and refuse new ones."""
        self.stopping = True
        for tail in self._tails.values():
            tail.stop()

    def _hold(self, stream: str) -> Tail:
        self._refuse_when_stopping()
        tail = self._tails.get(stream)
        if tail is None or tail.is_over:
            tail = Tail(stream, AsyncExecutor(self._server), lambda entry: self._render(stream, entry))
            self._tails[stream] = tail
        tail.holders += 1
        tail.start()
        return tail

    def _release(self, tail: Tail) -> None:
        tail.holders -= 1
        if not tail.holders:
            asyncio.get_running_loop().call_later(self._linger, self._end_if_unused, tail)

    def _refuse_when_stopping(self) -> None:
        if self.stopping:
            raise Stopping("Synapse is about to stop; come back in a moment.")

    def _end_if_unused(self, tail: Tail) -> None:
        if not tail.holders and self._tails.get(tail.stream) is tail:
            del self._tails[tail.stream]
            tail.stop()


# A report expires after some seconds, so that a killed process soon no longer counts.
_REPORT_SECONDS = 5


class ViewerReports:
    """Reports the viewers of one process. `name` is unique among all processes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reported: set[str] = set()

    def report(self, watching: Mapping[str, int], *, now_ms: int) -> Conversation[None]:
        """Report the number of viewers of each stream, including one that fell to zero."""
        streams = self._reported | watching.keys()
        until = now_ms + _REPORT_SECONDS * 1000
        asked = []
        for stream in sorted(streams):
            key = keyspace.watchers(stream)
            asked.append(stream_commands.hset(key, self._name, f"{watching.get(stream, 0)} {until}"))
            asked.append(stream_commands.expire(key, _REPORT_SECONDS))
        if asked:
            yield asked
        self._reported = set(watching)


def viewer_counts(streams: Iterable[str], *, now_ms: int) -> Conversation[dict[str, int]]:
    """Return the current number of viewers of each stream."""
    names = list(streams)
    replies = (yield from ask([stream_commands.hgetall(keyspace.watchers(name)) for name in names])) if names else []
    return {name: _viewers_in(reply, now_ms) for name, reply in zip(names, replies, strict=True)}


def _viewers_in(reply: Any, now_ms: int) -> int:
    # A key of another type under this name counts as 0 and is no error.
    counts = [] if isinstance(reply, ReplyError) else [text.partition(b" ") for text in reply.values()]
    return sum(int(count) for count, _, until in counts if count.isdigit() and until.isdigit() and int(until) > now_ms)
