"""uvicorn's HTTP protocol with limits that it lacks: how many connections there may be, how large a request's head may
be, how long a request may take to arrive, and how long a client may leave an answer lie.

Without them a client can fill the memory with headers that never end, or hold thousands of connections open by
sending, or taking, a byte now and then. Refusals are those of RFC 6585, 5 (431) and RFC 9110, 15.5.9 (408).
"""

import asyncio
from typing import Any, Literal

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from synapse_project.direct_protocol import DirectHttpProtocol

MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 100
MAX_HEAD_SECONDS = 10.0
MAX_BODY_SECONDS = 30.0
# How long a client may take nothing of an answer while more of it waits.
MAX_STALL_SECONDS = 30.0


class LimitedHttpProtocol(DirectHttpProtocol):
    """Closes a connection whose next request is too large in its head, or does not arrive in time.

    A request that arrives in one piece costs no timer: one is started only when a piece leaves it unfinished.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading: Literal["head", "body"] | None = "head"
        self._head_bytes = 0
        self._head_is_too_large = False
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        if len(self.connections) > settings.MAX_CONNECTIONS:
            self._refuse(503)
        else:
            self._watch(MAX_HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._unstall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._reading
        super().data_received(data)
        if self.transport.is_closing() or self._reading is None:
            self._unwatch()
        elif self._reading != before or self._timer is None:
            self._watch(MAX_HEAD_SECONDS if self._reading == "head" else MAX_BODY_SECONDS)
        if self._reading == before == "head":
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = "head"
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._reading = "body"
        size = len(self.url) + sum(len(name) + len(text) + 4 for name, text in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            # Raised through the parser, after which uvicorn asks for `send_400_response`.
            self._head_is_too_large = True
            raise ValueError("the request's head is too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._reading = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head_is_too_large:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        # Not `close`, which would wait until the client has taken the rest.
        self._stalled = self.loop.call_later(MAX_STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._unstall()
        super().resume_writing()

    def _unstall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch(self, seconds: float) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._reading == "body" and self.cycle is not None and not self.cycle.response_started:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
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
