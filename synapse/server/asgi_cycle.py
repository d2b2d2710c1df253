"""One request and its answer by an ASGI application (ASGI specification, HTTP 2.3).

HTTP/1.0 has no chunks: the end of the connection ends a response to such a client (RFC 9112, 6.1).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from synapse.http.exchange import Serve
from synapse.server.client_connection import ClientConnection
from synapse.server.config import Receive, Scope, Send

HeaderPairs = list[tuple[bytes, bytes]]

# At most this much of a body, and one more piece, is read ahead of the application.
_HIGH_WATER = 64 * 1024
# These responses get no Content-Length: in a 304 it would be the length of the client's cached copy (RFC 9110, 8.6).
BODILESS = (204, 304)

# The message by which the application accepts a WebSocket handshake, with `headers` and `serve`.
ACCEPT = "synapse.websocket.accept"

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
# RFC 9110, 5.5: a value with line breaks would be read as several headers, or as the body.
_ONE_LINE = bytes.maketrans(b"\r\n\0", b"   ")

logger = logging.getLogger(__name__)


def encode_head(status: int, pairs: HeaderPairs) -> bytes:
    """Return a status line and header lines, without the empty line after them."""
    line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return line + b"".join(b"%b: %b\r\n" % (name, text.translate(_ONE_LINE)) for name, text in pairs)


class AsgiCycle:
    """Passes a request to an ASGI application, and writes its response."""

    def __init__(
        self,
        connection: ClientConnection,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        scope: Scope,
        *,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self._connection = connection
        self._app = app
        self.scope = scope
        self.keep_alive = keep_alive
        self.response_started = self.response_complete = False
        self._expects_continue = expects_continue
        self._is_gone = False
        # Set when the application can receive something new.
        self._news = asyncio.Event()
        self._body = bytearray()
        self._is_whole = False
        self._is_chunked = False
        # The bytes of the response that are still missing; None when the end of the connection ends the response.
        self._left: int | None = 0

    def start(self) -> None:
        """Begin the request. All earlier requests of the connection have been answered."""
        if not self._connection.transport.is_closing():
            self._connection.run_aside(self._run())

    def take(self, part: bytes) -> None:
        """Add a part of the body. Parts that arrive after the response are dropped."""
        if not self.response_complete:
            self._body += part
            if len(self._body) > _HIGH_WATER:
                self._connection.pause_reading()
            self._news.set()

    def end(self) -> None:
        """Record that the request is complete."""
        self._is_whole = True
        self._news.set()

    def disconnect(self) -> None:
        """Record that the client disconnected."""
        self._is_gone = True
        self._news.set()

    async def _run(self) -> None:
        try:
            await self._app(self.scope, self._receive, self._send)
            if not (self.response_complete or self._is_gone or self._connection.transport.is_closing()):
                raise RuntimeError("the application ended without a whole answer")
        except BaseException as error:
            # Also when the server stops and cancels this task: the client gets a response.
            logger.error("%s %s failed", self.scope["method"], self.scope["path"], exc_info=error)
            if self.response_started:
                self._connection.transport.close()
            else:
                await self._send_error()

    async def _send_error(self) -> None:
        text = b"Internal Server Error"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
        await self._send(
            {"type": "http.response.start", "status": 500, "headers": [*headers, (b"connection", b"close")]}
        )
        await self._send({"type": "http.response.body", "body": text})

    async def _receive(self) -> Mapping[str, Any]:
        if self._expects_continue and not self._connection.transport.is_closing():
            self._expects_continue = False
            self._connection.transport.write(CONTINUE)
        if not self._is_gone and not self.response_complete:
            self._connection.resume_reading()
            await self._news.wait()
            self._news.clear()
        if self._is_gone or self.response_complete:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._connection.is_write_paused and not self._is_gone:
            await self._connection.drain()
        if self._is_gone or self._connection.transport.is_closing():
            return
        if message["type"] == ACCEPT and not self.response_started:
            self._switch_protocols(message["headers"], message["serve"])
            return
        expected = "body" if self.response_started else "start"
        if self.response_complete or message["type"] != f"http.response.{expected}":
            raise RuntimeError(f"the application sent {message['type']} out of turn")
        if self.response_started:
            self._write_part(message.get("body", b""), is_last=not message.get("more_body", False))
        else:
            self._write_head(message["status"], message.get("headers", ()))

    def _switch_protocols(self, headers: HeaderPairs, serve: Serve) -> None:
        self.response_started = self.response_complete = True
        pairs = [*self._connection.state.default_headers, *headers]
        self._connection.transport.write(encode_head(101, pairs) + b"\r\n")
        self._connection.begin_websocket(serve)

    def _write_head(self, status: int, headers: HeaderPairs) -> None:
        self.response_started = True
        self._expects_continue = False
        if status in BODILESS:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        pairs = [*self._connection.state.default_headers, *headers]
        given = dict(headers)
        if given.get(b"connection", b"").lower() == b"close":
            self.keep_alive = False
        elif not self.keep_alive:
            pairs.append((b"connection", b"close"))
        if self.scope["method"] == "HEAD" or status in BODILESS:
            self._left = 0
        elif b"content-length" in given:
            self._left = int(given[b"content-length"])
        else:
            self._left = None
            self._is_chunked = self.scope["http_version"] == "1.1"
            if self._is_chunked:
                pairs.append((b"transfer-encoding", b"chunked"))
        self._connection.transport.write(encode_head(status, pairs) + b"\r\n")

    def _write_part(self, body: bytes, *, is_last: bool) -> None:
        if self.scope["method"] == "HEAD":
            body = b""
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left):
                raise RuntimeError("the answer is not as long as its Content-Length says")
        if self._is_chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if is_last else b"")
        if body:
            self._connection.transport.write(body)
        if is_last:
            self.response_complete = True
            self._news.set()
            if not self.keep_alive:
                self._connection.transport.close()
            self._connection.begin_next()
