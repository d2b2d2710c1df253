"""Accepts connections, and lets the addresses from which they come take turns.

The event loop's own server creates a protocol for each connection as it accepts it, in the order of their arrival. So
behind a client that opens thousands, a probe waits until all of those are open. Accepting alone takes a tenth of that
time. Here connections are accepted as fast as they come and wait by address, and the addresses get one connection at a
time in turn.

An address with as many connections as it may have, or one that comes when all connections are in use, waits, too: one
of its connections is admitted every few milliseconds and replaces another (`ConnectionTable`). So a client gains
nothing by opening connections again and again.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from synapse.shares.fair_pool import RoundRobinQueue

# The number of connections to accept, and of protocols to create, before the event loop does other work.
_ACCEPTED_AT_ONCE = 64
_OPENED_AT_ONCE = 8
# The seconds between two connections that are admitted although their address has no room.
_PACE = 0.004
# The time in seconds for which a connection may wait: as long as a head may take.
_PATIENCE = 10.0
# The part of all waiting connections that one address may have.
_SHARE = 0.75
# The seconds without accepting after the system refused to, for example because no descriptor is left.
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
            listener: the socket. The caller closes it.
            make_protocol: creates the protocol of a connection.
            has_room: says whether an address may have one more connection without another being closed.
            most_waiting: the number of connections that may wait; further ones are closed at once.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._has_room = has_room
        self._most_waiting = most_waiting
        # The waiting connections by address, each with the time at which it has waited too long.
        self._waiting: RoundRobinQueue[str, tuple[socket.socket, float]] = RoundRobinQueue()
        # The time at which the next connection without room may be admitted.
        self._next_forced = 0.0
        self._turn: asyncio.Handle | None = None
        self._pause: asyncio.TimerHandle | None = None
        # Whether the system refused to accept the previous connection.
        self._is_exhausted = False
        self._opening: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Stop accepting, and close the waiting connections."""
        self._loop.remove_reader(self._listener)
        for handle in (self._turn, self._pause):
            if handle is not None:
                handle.cancel()
        while self._waiting:
            self._waiting.take(next(iter(self._waiting)))[0].close()

    async def wait_closed(self) -> None:
        """Wait until the connections that are being opened are open."""
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
        with contextlib.suppress(OSError):  # the client has disconnected already
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
