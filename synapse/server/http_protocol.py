"""uvicorn's HTTP protocol with limits that it lacks: how many connections there may be, how large a request's head may
be, how long a request may take to arrive, and how long a client may leave an answer lie.

Without them a client can fill the memory with headers that never end, or hold thousands of connections open by
sending, or taking, a byte now and then. Refusals are those of RFC 6585, 5 (431) and RFC 9110, 15.5.9 (408).

Answers have the order of their requests (RFC 9112, 9.3.2). So what ends a connection, a refusal or the client's own
end, waits for the answers that are owed before.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from synapse.problems import Problem
from synapse.server.fast_path import DirectHttpProtocol
from synapse.server.framed_protocol import Refused

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
        # The bytes of the piece that is being read, and of all pieces that the request's head is in: it has no more.
        self._piece = self._at_most = 0
        # How many bytes have come behind the last of a body in chunks, and whether any of a body came in this piece.
        self._behind_body = 0
        self._has_body = False
        # Whether the piece that came last was the end of a request.
        self._ended_one = False
        # What ends the connection when all that is owed has been answered. Nothing more is read then.
        self._last: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        try:
            self.take_seat()
        except Problem as problem:
            self._refuse(problem.status)
        else:
            self._watch_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._unstall()
        self._last = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._last is not None or (self._reading is None and self.begin_again(data)):
            return
        before, self._ended_one = self._reading, False
        self._piece = len(data)
        self._at_most += self._piece
        super().data_received(data)
        if self._reading is None and not self._ended_one:
            self._reading, self._head_bytes = "head", 0  # blank lines: the parser begins a request after them
        elif self._reading is None and before is None:
            self.learn(data)
        if self.transport.is_closing() or self._last is not None or self._reading is None:
            self._unwatch()
        elif self._ended_one or self._reading != before or self._timer is None:
            self._watch_request()
        if self._reading == "body":
            self._count_behind_body(0 if self._has_body or self._ended_one or before != "body" else len(data))
        # A piece that ended a request as well is not counted: how much of it is the next one's is not known.
        if self._reading == "head" and not self._ended_one:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431)

    def _count_behind_body(self, size: int) -> None:
        """Count a piece of so many bytes that brought nothing of a body, 0 for one that did. What stands behind the
        last chunk may be as large as a head: the parser keeps it, and takes the longer for each piece."""
        self._has_body = False
        self._behind_body = self._behind_body + size if size else 0
        if self._behind_body > MAX_HEAD_BYTES:
            self._give_up_body(431)

    def waits_for_client(self) -> bool:
        if self._last is not None or self.transport.is_closing():
            return False  # it ends already
        if self.flow.write_paused:
            return True
        if self._reading is None:
            return self.cycle is None or self.cycle.response_complete
        return not self._is_behind()

    def reclaim(self) -> None:
        self.seat = None
        if self.flow.write_paused:
            self.transport.abort()
        elif self._reading == "body":
            self._give_up_body(503)
        elif self._reading == "head" and self._head_bytes:
            self._refuse(503)
        else:
            self._close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for what is owed: who has said everything may still listen (RFC 9293, 3.6).

        It is all that is heard of who has gone, too, so where an answer waits for something that counts as leaving.
        """
        if self.waits():
            return False
        self._in_turn(self._close)
        return not self.transport.is_closing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = "head"
        self._head_bytes = 0
        self._at_most = self._piece

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS or (self._at_most > MAX_HEAD_BYTES and self.head_size() > MAX_HEAD_BYTES):
            raise Refused(431, "")
        if not self.check_framing():
            return
        before, self._reading = self.cycle, "body"
        try:
            super().on_headers_complete()
        except Exception:
            if self.cycle is before:
                self._reading = "head"  # such as a target that is no URL: there is no request to answer in its place
            raise

    def on_body(self, body: bytes) -> None:
        self._has_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.is_offer():
            return
        self._reading = None
        self._ended_one = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        is_all = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            self._limit_stall()
        if is_all and self._last is not None and not self.transport.is_closing():
            self._last()

    def refuse(self, status: int, text: str) -> None:
        if not status:
            self._in_turn(self._close)
        elif self._reading == "body":
            self._give_up_body(status, text)
        else:
            self._refuse(status, text)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limit_stall()

    def resume_writing(self) -> None:
        self._unstall()
        super().resume_writing()
        if self.transport.is_closing():
            self._limit_stall()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._limit_stall()

    def _close(self) -> None:
        self.transport.close()
        self._limit_stall()

    def _limit_stall(self) -> None:
        """End the connection when the client takes nothing for a while. `close` alone waits for ever until it has taken
        the rest, and the connection holds its place meanwhile."""
        if self._stalled is None:
            self._stalled = self.loop.call_later(MAX_STALL_SECONDS, self.transport.abort)

    def _unstall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch_request(self) -> None:
        self._watch(MAX_HEAD_SECONDS if self._reading == "head" else MAX_BODY_SECONDS)

    def _watch(self, seconds: float) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_behind():
            self._watch_request()  # it may be us for whom the client waits
        elif self._reading == "body":
            self._give_up_body(408)
        else:
            self._close()

    def _give_up_body(self, status: int, text: str = "") -> None:
        if self.cycle is not None and not self.cycle.response_started:
            self._refuse(status, text)
        else:
            self._close()  # a second answer would be taken for that to the next request

    def _refuse(self, status: int, text: str = "") -> None:
        self._in_turn(partial(self._write_refusal, status, text.encode()))

    def _write_refusal(self, status: int, text: bytes) -> None:
        head = STATUS_LINE[status] + (b"retry-after: 1\r\n" if status in (429, 503) else b"")
        if text:
            head += b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
        self.transport.write(b"%bcontent-length: %d\r\nconnection: close\r\n\r\n%b" % (head, len(text), text))
        self._close()

    def _in_turn(self, last: Callable[[], None]) -> None:
        """Do what ends the connection, as soon as the whole requests that came before are answered."""
        if self.transport.is_closing() or self._last is not None:
            return
        self._unwatch()
        if not self._is_behind():
            last()
            return
        self._last = last
        if self._reading == "body":
            self.pipeline.popleft()  # the one that is not whole

    def _is_behind(self) -> bool:
        """Say whether what is being read comes after requests that are not answered yet."""
        if self._reading == "body":
            return bool(self.pipeline) and self.pipeline[0][0] is self.cycle
        return self.cycle is not None and not self.cycle.response_complete


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
