"""A client's connection without its protocol: transport, flow control, and place in the connection table."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from synapse.http.exchange import Serve
from synapse.server.config import ServerConfig
from synapse.server.connection_table import ConnectionSlot, ConnectionTable
from synapse.shares import CallerId

# The seconds for which a client may read nothing while more of a response waits.
MAX_STALL_SECONDS = 30.0


class ServerState(Protocol):
    """The state that a server shares with its connections. uvicorn passes it to every protocol, as a test checks.

    Attributes:
        connections: All open connections: the server calls `shutdown` of each when it stops.
        tasks: The tasks that the server waits for then.
        default_headers: Headers of every response, such as the date. They are renewed each second.
    """

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]


class ClientConnection(asyncio.Protocol):
    """The interface of a connection for the requests that are answered on it.

    Attributes:
        client, server: The addresses of both ends, None when the transport has none.
        seat: Its place in the connection table, None before and after it has one.
        table: The table of all connections.
        is_identified: Whether it is counted to a caller rather than an address.
        is_write_paused: Whether the client has left so much unread that nothing more should be written.
    """

    transport: asyncio.Transport

    def __init__(
        self, table: ConnectionTable, config: ServerConfig, state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.server_config = config
        self.state = state
        self.loop = loop
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self.seat: ConnectionSlot | None = None
        self.is_identified = False
        self.is_write_paused = False
        self.table = table
        self._is_read_paused = False
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.state.connections.add(self)
        self.client, self.server = _address_of(transport, "peername"), _address_of(transport, "sockname")

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)
        if self.seat is not None:
            self.table.remove(self.seat)
            self.seat = None
        self.transport.close()
        self._writable.set()

    def take_seat(self) -> None:
        """Take a place in the table for the connection.

        Raises:
            ShareUsedUp, AllInUse: when no place is free.
        """
        caller = self.table.caller_behind(self.client[0] if self.client else "")
        self.is_identified = not caller.is_anonymous
        self.seat = self.table.admit(self, caller)

    def identify(self, caller: CallerId) -> None:
        """Count the connection to the caller of a request on it, once for the whole connection.

        Raises:
            ShareUsedUp: when the caller has as many connections as one caller may, and all are in use.
        """
        if self.seat is not None and not self.is_identified and not caller.is_anonymous:
            self.table.identify(self.seat, caller)
            self.is_identified = True

    def waits_for_client(self) -> bool:
        """Say whether the connection is busy only because of its client, which does not read a response or does not
        send the rest of a request.
        """
        raise NotImplementedError

    def reclaim(self) -> None:
        """Close the connection to make room for another one."""
        raise NotImplementedError

    def begin_next(self) -> None:
        """Begin the connection's next request, because a response is complete."""
        raise NotImplementedError

    def begin_websocket(self, serve: Serve) -> None:
        """Continue with WebSocket frames, because a handshake was accepted. `serve` gets the socket."""
        raise NotImplementedError

    def take_over(self, before: "ClientConnection") -> None:
        """Take over a connection from its previous protocol object, with its transport and its place in the table."""
        self.transport, self.client, self.server = before.transport, before.client, before.server
        self.is_identified = before.is_identified
        self._is_read_paused = before._is_read_paused
        self.seat, before.seat = before.seat, None
        if self.seat is not None:
            self.seat.connection = self
        self.state.connections.discard(before)
        self.state.connections.add(self)
        self.transport.set_protocol(self)

    def pause_reading(self) -> None:
        """Stop reading: further bytes of the client stay in the system's buffers."""
        if not self._is_read_paused:
            self._is_read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._is_read_paused:
            self._is_read_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.is_write_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        self.is_write_paused = False
        self._writable.set()

    async def drain(self) -> None:
        """Wait until the client has read enough of the written bytes, or has disconnected."""
        await self._writable.wait()

    def run_aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task. The server waits for it when it stops."""
        task = self.loop.create_task(work)
        self.state.tasks.add(task)
        task.add_done_callback(self.state.tasks.discard)


def _address_of(transport: asyncio.Transport, end: str) -> tuple[str, int] | None:
    found = transport.get_extra_info(end)
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
