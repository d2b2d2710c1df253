"""Accepts connections, and lets the addresses that they come from take turns.

The event loop's own server makes a protocol for each connection as it accepts it, in the order in which they came. So
behind a client that opens thousands, a probe waits until all of those are open. Accepting alone takes a tenth of that
time. Here connections are accepted as fast as they come, wait by address, and each address gets one at a time.

An address that has as many connections as it may, or that comes when all are in use, waits as well: one of them gets in
every few milliseconds, for another that has to go (`ConnectionTable`). Opening connections again and again gains a
client nothing then.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from synapse.shares.fair_pool import RoundRobinQueue

# How many connections are accepted, and how many get their protocol, before the event loop does something else.
_ACCEPTED_AT_ONCE = 64
_OPENED_AT_ONCE = 8
# Seconds from one connection to the next that gets in though its address has no room.
_PACE = 0.004
# How long a connection may wait, in seconds: as long as a head may take.
_PATIENCE = 10.0
# How much of all that may wait one address may have.
_SHARE = 0.75
# How long nothing is accepted after the system refused to, in seconds: there is no descriptor left, for instance.
_PAUSE = 0.1

logger = logging.getLogger(__name__)


class Acceptor:
    """Accepts the connections of one listening socket, until it is closed. It belongs to the running event loop."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        *,
        has_room: Callable[[str], bool],
        most_waiting: int,
    ) -> None:
        """Start to accept.

        Args:
            listener: the socket; it is not closed here.
            make_protocol: makes the protocol of a connection.
            has_room: says whether an address may have one more connection without another being closed.
            most_waiting: how many connections may wait; more are closed at once.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._has_room = has_room
        self._most_waiting = most_waiting
        # By address, each with the time at which it has waited for too long.
        self._waiting: RoundRobinQueue[str, tuple[socket.socket, float]] = RoundRobinQueue()
        # When the next one may get in that has no room.
        self._next_forced = 0.0
        self._turn: asyncio.Handle | None = None
        self._pause: asyncio.TimerHandle | None = None
        # Whether the system refused to accept the connection before this one.
        self._is_exhausted = False
        self._opening: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept nothing more; what waits is closed."""
        self._loop.remove_reader(self._listener)
        for handle in (self._turn, self._pause):
            if handle is not None:
                handle.cancel()
        while self._waiting:
            self._waiting.take(next(iter(self._waiting)))[0].close()

    async def wait_closed(self) -> None:
        """Wait until the connections are open that were about to be."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, peer = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            except OSError as error:
                if not self._is_exhausted:
                    logger.warning("no connection can be accepted: %s", error)
                self._is_exhausted = True
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE, self._listen)
                break
            self._is_exhausted = False
            self._add(connection, str(peer[0]) if peer else "")
        self._schedule()

    def _add(self, connection: socket.socket, address: str) -> None:
        count = self._waiting.count_of(address)
        if len(self._waiting) >= self._most_waiting or count >= max(1, self._most_waiting * _SHARE):
            connection.close()
            return
        connection.setblocking(False)
        self._waiting.add(address, (connection, self._loop.time() + _PATIENCE))

    def _schedule(self, delay: float = 0.0) -> None:
        if self._turn is None and self._waiting:
            self._turn = (
                self._loop.call_later(delay, self._open_some) if delay else self._loop.call_soon(self._open_some)
            )

    def _open_some(self) -> None:
        self._turn = None
        now = self._loop.time()
        opened = 0
        for _ in range(min(_OPENED_AT_ONCE, len(self._waiting))):
            address = next(iter(self._waiting))
            if not self._has_room(address):
                if now < self._next_forced:
                    self._waiting.postpone(address)
                    continue
                self._next_forced = now + _PACE
            connection, deadline = self._waiting.take(address)
            opened += 1
            if now > deadline:
                connection.close()
                continue
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._schedule(0.0 if opened else _PACE)

    async def _open(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is gone again
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
