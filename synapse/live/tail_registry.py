"""All tails of a process: begun for the first watcher, ended a little after the last one leaves."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from synapse.errors.streams import Stopping, TooManyWatchers
from synapse.live.sse import Frame
from synapse.live.tail import BLOCK_SECONDS, Tail
from synapse.live.watcher import StreamSignal
from synapse.redis import AsyncExecutor, Server
from synapse.redis.commands.streams import Entry
from synapse.shares import AllInUse, CallerId, Shares

# A reader that reloads a page comes back at once.
LINGER_SECONDS = 5.0
# An answer later than this is taken for a dead connection.
PATIENCE_SECONDS = BLOCK_SECONDS + 3


class Tails:
    """The tails of a process's event loop, by stream. `shares` are the seats of all watchers, all streams together."""

    def __init__(
        self, server: Server, render: Callable[[str, Entry], Frame], *, shares: Shares, linger: float = LINGER_SECONDS
    ) -> None:
        self._server = replace(server, timeout=PATIENCE_SECONDS)
        self._render = render
        self.shares = shares
        self._linger = linger
        self._tails: dict[str, Tail] = {}
        self._seats: Counter[str] = Counter()
        self.stopping = False

    @contextmanager
    def seat(self, stream: str, caller: CallerId) -> Iterator[Tail]:
        """Give the stream's tail to a caller that watches, for as long as the block lasts.

        Raises:
            ShareUsedUp: when the caller has as many seats as one caller may.
            TooManyWatchers: when no seat is free.
            Stopping: when the server is about to end.
        """
        with self.seated(caller), self._held(stream) as tail:
            self._seats[stream] += 1
            try:
                yield tail
            finally:
                self._seats[stream] -= 1

    @contextmanager
    def seated(self, caller: CallerId) -> Iterator[None]:
        """Give a caller a seat for as long as the block lasts.

        Raises:
            ShareUsedUp, TooManyWatchers, Stopping: as `seat`.
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
        """Give a bell that rings when the stream gets entries, for as long as the block lasts. Takes no seat.

        Raises:
            Stopping: when the server is about to end.
        """
        bell = StreamSignal()
        with self._held(stream) as tail, tail.ringing(bell):
            yield bell

    def watching(self) -> dict[str, int]:
        """Return how many watch, by stream."""
        return {stream: count for stream, count in self._seats.items() if count}

    def stop(self) -> None:
        """End all watchers, and refuse new ones."""
        self.stopping = True
        for tail in self._tails.values():
            tail.stop()

    @contextmanager
    def _held(self, stream: str) -> Iterator[Tail]:
        self._refuse_when_stopping()
        tail = self._tails.get(stream)
        if tail is None or tail.is_over:
            tail = Tail(stream, AsyncExecutor(self._server), lambda entry: self._render(stream, entry))
            self._tails[stream] = tail
        tail.holders += 1
        try:
            tail.start()
            yield tail
        finally:
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
