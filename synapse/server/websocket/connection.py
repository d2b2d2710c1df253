"""A WebSocket connection after its handshake: messages in both directions, within limits of size and time.

Received messages wait for `receive`. While enough of them wait, nothing more is read, so that TCP pauses the client. A
large piece is parsed in turns of the event loop.
"""

import asyncio
import logging
import struct
import time
from collections import deque

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from synapse.http.exchange import Serve
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.server.client_connection import MAX_STALL_SECONDS, ClientConnection
from synapse.server.websocket.frame_limits import FrameLimits

# The seconds within which all parts of one message have to arrive.
MAX_MESSAGE_SECONDS = 30.0
# The seconds without a frame after which a client is pinged, and after which it is cut off when it does not answer.
PING_SECONDS = 20.0
# The seconds within which a client has to confirm the end.
MAX_CLOSE_SECONDS = 5.0
# Beyond this many messages, or this many bytes, further messages are left in the network.
MAX_WAITING_MESSAGES, MAX_WAITING_BYTES = 16, 64 * 1024

_REASONS = {
    CloseReason.UNSUPPORTED_DATA: "Messages are texts with JSON.",
    CloseReason.MESSAGE_TOO_BIG: "A message has at most 64 KiB.",
    CloseReason.POLICY_VIOLATION: "A message has at most 256 fragments.",
}

_HEAD_16, _HEAD_64 = struct.Struct("!BBH"), struct.Struct("!BBQ")
_FINAL_TEXT = 0x81
# A client that has sent a Close frame still reads until the frame is confirmed.
_SENDING = (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)

logger = logging.getLogger(__name__)


def _head_of_text(length: int) -> bytes:
    """Return the head of an unmasked frame with a whole text message (RFC 6455, 5.2). wsproto would decode, encode and
    copy the text, and an event goes to thousands of clients.
    """
    if length < 126:
        return bytes((_FINAL_TEXT, length))
    return _HEAD_16.pack(_FINAL_TEXT, 126, length) if length < 65536 else _HEAD_64.pack(_FINAL_TEXT, 127, length)


class WebSocketConnection(ClientConnection):
    """Passes messages between a client and the coroutine that serves it, to which this object is the `WebSocket`."""

    def __init__(self, before: ClientConnection) -> None:
        """Take over the connection whose handshake was accepted."""
        super().__init__(before.table, before.server_config, before.state, before.loop)
        self.take_over(before)
        self._frames = Connection(ConnectionType.SERVER, extensions=[FrameLimits()])
        self._message = bytearray()
        self._is_amid_message = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._awake: asyncio.Future[None] | None = None
        # Set when one side has ended the connection, or the client has disconnected: no further message is taken.
        # Messages before a Close frame of the client are still received.
        self._is_over = False
        self._confirmation: CloseConnection | None = None
        self.is_stopping = False
        # Whether frames of the client are still parsed: not after a violation of the protocol.
        self._is_readable = True
        self._is_heard = True
        self._message_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = self.loop.call_later(PING_SECONDS, self._check_alive)
        self._is_pinged = False

    def begin(self, serve: Serve, behind: bytes) -> None:
        """Run the coroutine that serves the client. `behind` are the bytes that followed its handshake."""
        self.run_aside(self._run(serve))
        if behind:
            self.data_received(behind)
        else:
            self.resume_reading()

    async def _run(self, serve: Serve) -> None:
        try:
            await serve(self)
        except Exception as error:  # not hidden: logged, and reported to the client
            logger.error("a WebSocket connection failed", exc_info=error)
            self.close(CloseReason.INTERNAL_ERROR, "Something went wrong inside Synapse; its log says more.")
        finally:
            self.close(CloseReason.NORMAL_CLOSURE)

    # For the coroutine that serves the client.

    async def receive(self) -> bytes | None:
        while not self._waiting and not self._is_over:
            self._awake = self.loop.create_future()
            try:
                await self._awake
            finally:
                self._awake = None
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message)
        if self._is_read_paused and not self._waiting:
            # Not parsed from here, because parsing may take a turn of the event loop.
            turn_queue.enter(self._read_on, is_last=True)
        return message

    def send(self, *messages: bytes) -> None:
        self.send_frames(self.frame(*messages))

    def frame(self, *messages: bytes) -> bytes:
        return b"".join([part for each in messages for part in (_head_of_text(len(each)), each)])

    def send_frames(self, frames: bytes) -> None:
        if self._frames.state in _SENDING and not self.transport.is_closing():
            self.transport.write(frames)

    def close(self, code: int, reason: str = "") -> None:
        self._end()
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            self._confirm_end()
        if self._frames.state is not ConnectionState.OPEN or self.transport.is_closing():
            return
        self.transport.write(self._frames.send(CloseConnection(code=code, reason=reason or None)))
        # Read the bytes that the client sent meanwhile: closing a socket with unread bytes may lose the Close frame.
        self.resume_reading()
        self._close_timer = self.loop.call_later(MAX_CLOSE_SECONDS, self._end_transport)

    # Callbacks of the transport and the server.

    def data_received(self, data: bytes) -> None:
        if self._is_readable:
            self._frames.receive_data(data)
            self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._message_timer, self._stall_timer, self._close_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._is_readable = False
        self._end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(MAX_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()
        self._read_on()

    def shutdown(self) -> None:
        """Let the coroutine end the conversation, because the server stops."""
        self.is_stopping = True
        self._end()

    def waits_for_client(self) -> bool:
        return self.is_write_paused and not self.transport.is_closing()

    def reclaim(self) -> None:
        self.seat = None
        self.transport.abort()

    # Incoming frames.

    def _read_on(self) -> None:
        """Parse received bytes until a turn of the event loop ends, enough messages wait, or the client does not
        read.
        """
        if not self._is_readable or self.transport.is_closing():
            return
        until = time.monotonic() + TURN
        events = self._frames.events()
        while not self._is_full():
            if (event := next(events, None)) is None:
                self.resume_reading()
                self._watch_message()
                return
            self._handle_event(event)
            if not self._is_readable:
                return
            if time.monotonic() > until:
                self.pause_reading()
                turn_queue.enter(self._read_on, is_last=True)
                return
        # The timeout of a message must not run while the server is not reading.
        self._unwatch_message()
        self.pause_reading()

    def _is_full(self) -> bool:
        # Answers to pings count, too: nothing more is read from a client that reads none of them.
        return not self._is_over and (
            len(self._waiting) >= MAX_WAITING_MESSAGES
            or self._waiting_bytes >= MAX_WAITING_BYTES
            or self.is_write_paused
        )

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._message += event.data.encode()
            self._is_amid_message = not event.message_finished
            if event.message_finished:
                self._unwatch_message()
                self._take_message(bytes(self._message))
                self._message.clear()
        elif isinstance(event, Ping):
            self._is_heard = True
            if self._frames.state is ConnectionState.OPEN:
                self.transport.write(self._frames.send(event.response()))
        elif isinstance(event, Pong):
            self._is_heard = True
        elif isinstance(event, CloseConnection):
            self._take_end(event)

    def _take_message(self, message: bytes) -> None:
        self._is_heard = True
        if not self._is_over:
            self._waiting.append(message)
            self._waiting_bytes += len(message)
            self._wake()

    def _take_end(self, event: CloseConnection) -> None:
        """Handle a Close frame of the client, or a violation of the protocol, which wsproto reports in the same way."""
        self._is_readable = False
        if self._frames.state is ConnectionState.OPEN:  # a violation
            code = CloseReason(event.code)
            self.close(code, _REASONS.get(code, event.reason or ""))
            return
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            # The Close frame is confirmed when the messages before it have been answered (RFC 6455, 5.5.1).
            self._is_over, self._confirmation = True, event.response()
            self._unwatch_message()
            self._wake()
            self._close_timer = self.loop.call_later(MAX_CLOSE_SECONDS, self._confirm_end)
        else:
            self._end_transport()

    def _confirm_end(self) -> None:
        if self._confirmation is not None and not self.transport.is_closing():
            self.transport.write(self._frames.send(self._confirmation))
        self._end()
        self._end_transport()

    # The end and the timeouts.

    def _end(self) -> None:
        self._is_over = True
        self._waiting.clear()
        self._unwatch_message()
        self._wake()

    def _end_transport(self) -> None:
        self.transport.close()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(MAX_STALL_SECONDS, self.transport.abort)

    def _wake(self) -> None:
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)

    def _watch_message(self) -> None:
        if self._is_amid_message and self._message_timer is None and not self._is_over:
            self._message_timer = self.loop.call_later(MAX_MESSAGE_SECONDS, self._give_up_message)

    def _unwatch_message(self) -> None:
        if self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None

    def _give_up_message(self) -> None:
        self._message_timer = None
        self.close(CloseReason.POLICY_VIOLATION, f"A message arrives within {MAX_MESSAGE_SECONDS:.0f} s.")

    def _check_alive(self) -> None:
        """Ping a client that was silent, and cut off one that did not answer."""
        self._ping_timer = self.loop.call_later(PING_SECONDS, self._check_alive)
        if self._is_heard or self._is_read_paused:
            self._is_heard = self._is_pinged = False
        elif self._is_pinged:
            self.transport.abort()
        elif self._frames.state is ConnectionState.OPEN and not self.transport.is_closing():
            self._is_pinged = True
            self.transport.write(self._frames.send(Ping()))
