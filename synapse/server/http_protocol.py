"""HTTP/1.1 on a client's connection: requests are parsed and answered in order, within limits of time.

The parser (`request_parser`) passes on heads and bodies. Each request becomes a `DirectCycle` (`fast_path`) or goes
through ASGI to the front door. Responses have the order of the requests (RFC 9112, 9.3.2), so a refusal or the client's
end, which closes the connection, waits for the responses before it.

Without limits of time, a client could hold thousands of connections open by sending or reading a byte now and then (RFC
9110, 15.5.9).
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

import httptools

from synapse.http.exchange import Serve
from synapse.problems import Problem
from synapse.runtime.turn_queue import TURN, turn_queue
from synapse.server.asgi_cycle import AsgiCycle, encode_head
from synapse.server.client_connection import MAX_STALL_SECONDS, ClientConnection, ServerState
from synapse.server.config import ServerConfig
from synapse.server.fast_path import DirectCycle, FastPath
from synapse.server.front_door import CONNECTION, HANDSHAKE, FrontDoor
from synapse.server.request_parser import Refused, RequestParser
from synapse.server.websocket.connection import WebSocketConnection

MAX_HEAD_SECONDS = 10.0
MAX_BODY_SECONDS = 30.0
# The seconds for which a connection stays open between two requests.
KEEP_ALIVE_SECONDS = 75.0
# The number of bytes to parse before the clock is read, because a piece may hold thousands of requests. It is larger
# within a body, so that `DirectCycle` takes a turn for it.
_MOST_PARSED, _MOST_OF_BODY = 16 * 1024, 40 * 1024


Cycle = DirectCycle | AsgiCycle


class HttpProtocol(ClientConnection):
    """Answers the requests of a connection by a front door.

    Attributes:
        cycle: The last request, None before the first one and after the end.
    """

    def __init__(
        self,
        door: FrontDoor,
        server_config: ServerConfig,
        *,
        server_state: ServerState,
        _loop: asyncio.AbstractEventLoop | None = None,
        **_: Any,
    ) -> None:
        """Create the protocol of one connection. uvicorn passes `server_state` and the further arguments."""
        super().__init__(door.connections, server_config, server_state, _loop or asyncio.get_running_loop())
        self._door = door
        self.requests = RequestParser(self)
        self.fast_path = FastPath(door, server_config)
        self.cycle: Cycle | None = None
        # The request that is being answered while others wait, and the waiting requests, latest first.
        self._answering: Cycle | None = None
        self._waiting: deque[Cycle] = deque()
        # The function that ends the connection when all earlier requests have been answered. Nothing more is read then.
        self._last: Callable[[], None] | None = None
        # Received bytes to parse in the next turn. Nothing more is read meanwhile.
        self._unread = b""
        # The time when the connection's last response was written (event-loop clock); infinite when something arrived
        # since.
        self._idle_since = math.inf
        self._idle_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        try:
            self.take_seat()
        except Problem as problem:
            self._refuse(problem.status)
        else:
            self._watch_request()

    def connection_lost(self, exc: Exception | None) -> None:
        for cycle in (self._answering, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnect()
        super().connection_lost(exc)
        self._release()

    def _release(self) -> None:
        for timer in (self._timer, self._stalled, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._stalled = self._idle_timer = self._last = None
        # A request and its connection refer to each other, and the garbage collector runs rarely
        # (synapse.runtime.process).
        self._waiting.clear()
        self.cycle = self._answering = None
        self._unread = b""
        self.requests.close()

    def data_received(self, data: bytes) -> None:
        if self._unread:
            self._unread += data
            return
        requests = self.requests
        before = requests.part
        if self._last is not None or (before is None and self._begin_again(data)):
            return
        self._idle_since = math.inf
        has_ended = False
        try:
            if len(data) <= _MOST_PARSED:
                requests.feed(data)
                has_ended = requests.has_ended
            else:
                has_ended = self._feed_for_a_turn(data)
        except Refused as refused:
            self._refuse_request(refused)
            return
        if before is None and requests.part is None and not self._unread:
            self.fast_path.learn(requests, data)
        # A request that arrives in one piece costs no timer: one is started only when a piece leaves a request
        # unfinished.
        if self.transport.is_closing() or requests.part is None:
            self._cancel_timer()
        elif has_ended or requests.part != before or self._timer is None:
            self._watch_request()

    def _feed_for_a_turn(self, data: bytes) -> bool:
        """Parse a large piece until its end, or until its turn on the event loop ends: the rest waits for the next
        turn.

        Return whether a request ended.
        """
        begin, until, has_ended = 0, time.monotonic() + TURN, False
        while begin < len(data):
            if begin and time.monotonic() > until:
                self._unread = data[begin:]
                self.pause_reading()
                turn_queue.enter(self._read_on, is_last=True)
                break
            end = begin + (_MOST_OF_BODY if self.requests.part == "body" else _MOST_PARSED)
            self.requests.feed(data[begin:end])
            has_ended = has_ended or self.requests.has_ended
            begin = end
        return has_ended

    def _read_on(self) -> None:
        data, self._unread = self._unread, b""
        if data and not self.transport.is_closing():
            self.data_received(data)
            if not self._waiting:
                self.resume_reading()

    def eof_received(self) -> bool:
        """Keep the connection until all responses are sent: a client that has closed its sending side may still read
        (RFC 9293, 3.6).

        A client that has disconnected looks the same, so this counts as a disconnection for a response that waits for
        something.
        """
        if isinstance(self.cycle, AsgiCycle):
            route, _ = self._door.route(self.cycle.scope["method"], self.cycle.scope["path"])
            if route is not None and route.waits:
                return False
        self._end_in_turn(self._close)
        return not self.transport.is_closing()

    def resume_reading(self) -> None:
        # The bytes after a handshake belong to the protocol that follows.
        if not (self._unread or self.requests.is_handshake):
            super().resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limit_stall()

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()
        if self.transport.is_closing():
            self._limit_stall()

    def shutdown(self) -> None:
        """Close the connection after the outstanding responses, because the server stops."""
        if self.cycle is None or self.cycle.response_complete:
            self._close()
        else:
            self.cycle.keep_alive = False

    # Called by the parser.

    def is_over(self) -> bool:
        return self.cycle is not None and not self.cycle.keep_alive

    def accepts_websocket(self, target: bytes) -> bool:
        route, _ = self._door.route("GET", _path_of(httptools.parse_url(target)))
        return route is not None and route.is_websocket

    def accept_head(self) -> Cycle:
        if self.requests.is_handshake:
            self.pause_reading()
        return self.fast_path.cycle(self, self.requests) or self._asgi_cycle()

    def begin_request(self, request: Cycle) -> None:
        before, self.cycle = self.cycle, request
        if before is None or before.response_complete:
            request.start()
        else:
            self.pause_reading()
            if not self._waiting:
                self._answering = before
            self._waiting.appendleft(request)

    def take_body(self, part: bytes) -> None:
        if self.cycle is not None:
            self.cycle.take(part)

    def end_request(self) -> None:
        if self.cycle is not None:
            self.cycle.end()
            if self.cycle.response_complete:
                self._idle_since = self.loop.time()  # answered before it was complete: no other event ends it

    def _begin_again(self, piece: bytes) -> bool:
        """Begin the request in a piece, if only its body is new and no response is outstanding."""
        if self.cycle is None or not self.cycle.response_complete:
            return False
        cycle = self.fast_path.find_repeated(self, self.requests, piece)
        if cycle is None:
            return False
        self._idle_since = math.inf
        self.cycle = cycle
        cycle.start()
        return True

    def _asgi_cycle(self) -> AsgiCycle:
        requests = self.requests
        url = httptools.parse_url(requests.url)
        length = [(b"content-length", requests.length)] if requests.length else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": requests.version,
            "method": requests.method.decode("ascii"),
            "scheme": "http",  # a proxy terminates TLS
            "path": _path_of(url),
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": [*requests.headers, *length],
            "client": self.client,
            "server": self.server,
            CONNECTION: self,
            HANDSHAKE: requests.is_handshake,
        }
        # A client whose handshake was refused may have sent frames, which are not requests.
        keep_alive = requests.keeps_alive and not requests.is_handshake
        return AsgiCycle(self, self._door, scope, keep_alive=keep_alive, expects_continue=requests.expects_continue)

    def begin_websocket(self, serve: Serve) -> None:
        behind = self.requests.behind_handshake + self._unread
        self._release()
        WebSocketConnection(self).begin(serve, behind)

    def begin_next(self) -> None:
        is_last = not self._waiting
        if not self.transport.is_closing():
            self._go_on()
        if self.transport.is_closing():
            self._limit_stall()
        elif is_last and self._last is not None:
            self._last()

    def _go_on(self) -> None:
        following = self._waiting.pop() if self._waiting else None
        if not self._waiting:
            # Not before the previous request's turn: the memory of its body is counted only from its beginning.
            self.resume_reading()
        if following is not None:
            self._answering = following
            # Not at once: each of many requests that arrived together would begin inside the one before it.
            self.loop.call_soon(following.start)
            return
        if self.seat is not None:
            self.seat.use()
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._wait_idly(KEEP_ALIVE_SECONDS)

    # One timer for all pauses between requests, instead of a new one for each.

    def _wait_idly(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_timer = None
        if self.transport.is_closing():
            return
        left = self._idle_since + KEEP_ALIVE_SECONDS - self.loop.time()
        if left > 0:
            self._wait_idly(min(left, KEEP_ALIVE_SECONDS))
        else:
            self._close()

    # For another connection that needs the place.

    def waits_for_client(self) -> bool:
        if self._last is not None or self.transport.is_closing():
            return False  # already ending
        if self.is_write_paused:
            return True
        if self.requests.part is None:
            return self.cycle is None or self.cycle.response_complete
        return not self._is_behind()

    def reclaim(self) -> None:
        self.seat = None
        if self.is_write_paused:
            self.transport.abort()
        elif self.requests.part == "body":
            self._give_up_body(503)
        elif self.requests.part == "head" and self.requests.head_bytes:
            self._refuse(503)
        else:
            self._close()

    # The end of the connection.

    def _close(self) -> None:
        self.transport.close()
        self._limit_stall()

    def _limit_stall(self) -> None:
        """End the connection when the client reads nothing for a while. `close` alone waits without limit until the
        client has read the rest, and the connection keeps its place meanwhile.
        """
        if self._stalled is None:
            self._stalled = self.loop.call_later(MAX_STALL_SECONDS, self.transport.abort)

    def _watch_request(self) -> None:
        self._cancel_timer()
        seconds = MAX_HEAD_SECONDS if self.requests.part == "head" else MAX_BODY_SECONDS
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_behind():
            self._watch_request()  # the client may be waiting for the server
        elif self.requests.part == "body":
            self._give_up_body(408)
        else:
            self._close()

    def _refuse_request(self, refused: Refused) -> None:
        if not refused.status:
            self._end_in_turn(self._close)
        elif self.requests.part == "body":
            self._give_up_body(refused.status, refused.text)
        else:
            self._refuse(refused.status, refused.text)

    def _give_up_body(self, status: int, text: str = "") -> None:
        if self.cycle is not None and not self.cycle.response_started:
            self._refuse(status, text)
        else:
            self._close()  # the client would take a second response for that to its next request

    def _refuse(self, status: int, text: str = "") -> None:
        self._end_in_turn(partial(self._write_refusal, status, text.encode()))

    def _write_refusal(self, status: int, text: bytes) -> None:
        pairs = [(b"retry-after", b"1")] if status in (429, 503) else []
        if text:
            pairs += [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
        pairs += [(b"content-length", b"%d" % len(text)), (b"connection", b"close")]
        self.transport.write(encode_head(status, pairs) + b"\r\n" + text)
        self._close()

    def _end_in_turn(self, last: Callable[[], None]) -> None:
        """End the connection as soon as all earlier complete requests have been answered."""
        if self.transport.is_closing() or self._last is not None:
            return
        self._cancel_timer()
        if not self._is_behind():
            last()
            return
        self._last = last
        if self.requests.part == "body":
            self._waiting.popleft()  # the request that is incomplete

    def _is_behind(self) -> bool:
        """Say whether the request being read follows requests that are not answered yet."""
        if self.requests.part == "body":
            return bool(self._waiting) and self._waiting[0] is self.cycle
        return self.cycle is not None and not self.cycle.response_complete


def _path_of(url: Any) -> str:
    path: str = url.path.decode("ascii")
    return unquote(path) if "%" in path else path


def options(door: FrontDoor, **others: Any) -> dict[str, Any]:
    """Return uvicorn's settings for HTTP: the protocol, bound to the configuration of the front door."""
    return {
        "loop": "uvloop",
        "http": partial(HttpProtocol, door, door.config),
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "proxy_headers": False,
        "server_header": False,
        **others,
    }
