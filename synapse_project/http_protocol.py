"""uvicorn's HTTP protocol with two limits that it lacks: how large a request's head may be, and how long it may take.

Without them a client can fill the memory with headers that never end, or hold thousands of connections open by
sending a byte now and then (RFC 6585, 5 gives the status for the first).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_SECONDS = 10.0


class LimitedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose next request's head is too large (431) or does not come in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0
        self._too_large = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        reading_head = self._head_timer is not None
        super().data_received(data)
        # Still reading the same head: none of it was a body.
        if reading_head and self._head_timer is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_whole()
        if len(self.url) + sum(len(name) + len(text) + 4 for name, text in self.headers) > MAX_HEAD_BYTES:
            # Raised through the parser, which then asks for `send_400_response`.
            self._too_large = True
            raise ValueError("the request's head is too large")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self._too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(MAX_HEAD_SECONDS, self._too_slow)

    def _head_is_whole(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _refuse(self) -> None:
        self.transport.write(STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def options(**others: Any) -> dict[str, Any]:
    """Return uvicorn's settings that have to do with HTTP."""
    return {
        "loop": "uvloop",
        "http": LimitedHttpProtocol,
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "proxy_headers": False,
        "server_header": False,
        "timeout_keep_alive": 75,
        **others,
    }
