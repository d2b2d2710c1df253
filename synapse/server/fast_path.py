"""The express lane's fast path: a request of the event loop is answered from the parser, and never becomes ASGI.

What ASGI asks for is a task, an event and a dozen dictionaries a request: more than all the work of storing an event.
So a route that has a `direct` way is answered by the callbacks of two connections: the client's, which hands over the
request, and Redis', which hands over the reply. Everything else goes on through uvicorn and the front door. Both ways
share the front door's routes, its checks and its headers.
"""

import asyncio
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from synapse.auth.principal import ANONYMOUS
from synapse.http.exchange import (
    Request,
    Response,
    Route,
    StreamedResponse,
    nobody,
    problem_response,
)
from synapse.problems import Problem
from synapse.runtime.turn_queue import turn_queue
from synapse.server import request_guard
from synapse.server.asgi import CONNECTION, FrontDoor
from synapse.server.body_budget import SMALL, Reservation
from synapse.server.config import ServerConfig
from synapse.server.connection_table import ConnectionTable, Seat
from synapse.server.conversion import (
    HeaderPairs,
    check_announced,
    check_read,
    failed,
    header_pairs,
    headers_of,
    is_for_django,
    principal_of,
    request_of,
)
from synapse.server.framed_protocol import TRAILERS, FramedHttpProtocol, without_chunks
from synapse.server.head_cache import Repeated, repeated
from synapse.server.hosts import check_host
from synapse.shares import CallerId, caller_of

_LENGTH = b"content-length"
# A larger head is read again each time: there may be ten thousand connections that keep theirs.
_MOST_KEPT = 2 * 1024
# A larger answer is not copied to stand behind its head in one piece, and a larger body not at once.
_MOST_JOINED = 64 * 1024


class _Head(NamedTuple):
    """A request without its body and its body's length. `address` is that of who asks, behind the proxies that are
    trusted."""

    route: Route
    params: Mapping[str, str]
    path: str
    query: bytes
    headers: Mapping[str, str]
    address: str


class DirectCycle:
    """One request and its answer. uvicorn looks at the same names of its own cycle, so both stand in one queue."""

    def __init__(self, protocol: "DirectHttpProtocol", head: _Head, length: bytes, body: bytes | None = None) -> None:
        """Take a request: with its body, or None when that is still to come."""
        self._protocol = protocol
        self._head = head
        self._length = length
        self._most = 0
        self._started = False
        self._reservation: Reservation | None = None
        self._principal = ANONYMOUS
        self.body: bytes | bytearray = body or bytearray()
        self.more_body = body is None
        self._is_held = False
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.keep_alive = protocol.version == "1.1" and protocol.parser.should_keep_alive()
        self.response_started = False
        self.response_complete = False
        self._disconnected = False

    @property
    def message_event(self) -> "DirectCycle":
        """What uvicorn sets to wake its own cycle."""
        return self

    def set(self) -> None:
        """Do nothing: nobody sleeps here."""

    @property
    def disconnected(self) -> bool:
        """Whether the client has gone."""
        return self._disconnected

    @disconnected.setter
    def disconnected(self, gone: bool) -> None:
        self._disconnected = gone
        self._let_go()

    def start(self) -> None:
        """Begin: all earlier requests of the connection are answered. What can be refused by its head, is."""
        self._started = True
        if self._protocol.transport.is_closing():
            return  # whoever asked has gone before it was this request's turn
        if self.more_body:
            self._protocol.flow.resume_reading()
        head = self._head
        try:
            check_host(self._protocol.server_config, head.path, head.headers, version=self._protocol.version)
            self._principal = principal_of(self._protocol.server_config, head.route, head.headers, address=head.address)
            if self._principal.kind != "anonymous" and not self._protocol.is_identified:
                self._protocol.identify(caller_of(self._principal))
            self._most = self._protocol.server_config.max_body_bytes if head.route.identify is None else SMALL
            check_announced(self._length, most=self._most)
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem))
            return
        if not self.more_body:
            self._run()
        elif self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take(self, part: bytes) -> None:
        """Add a part of the body. What comes after the answer is of no use to anybody."""
        if len(part) > _MOST_JOINED // 2 and self._started and not self._is_held and not self._disconnected:
            # The loop would read megabytes of each body at a stretch, also of one that is passed over. Of a request
            # whose turn has not come nothing more is read anyway, and `_read_on` must not change that.
            self._is_held = True
            self._protocol.flow.pause_reading()
            turn_queue.enter(self._read_on, is_last=True)
        if self.response_started or self._disconnected:
            return
        self.body += part
        if not self._started:
            if len(self.body) > SMALL:
                # A request of uvicorn's way reads on behind itself while it waits for its client to leave.
                self._protocol.flow.pause_reading()
            return
        try:
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem))

    def end(self) -> None:
        """Note that the request is whole."""
        self.more_body = False
        self._read_on()
        if self._started and not self.response_started:
            self._run()

    def _read_on(self) -> None:
        if self._is_held:
            self._is_held = False
            if not self._protocol.transport.is_closing():
                self._protocol.flow.resume_reading()

    def _check_size(self) -> None:
        size = len(self.body)
        check_read(size, most=self._most)
        if size > SMALL or (size and self._most == SMALL):
            if self._reservation is None:
                self._reservation = Reservation(self._protocol.server_config, caller_of(self._principal))
            self._reservation.grow(size)

    def _let_go(self) -> None:
        if self._reservation is not None:
            self._reservation.give_back()
        # The connection holds its last request for as long as it lasts.
        self.body = b""

    def _run(self) -> None:
        if len(self.body) <= _MOST_JOINED:
            self._run_now()
        else:
            # Many may be whole in the same moment, and each is copied.
            turn_queue.enter(self._run_now)

    def _run_now(self) -> None:
        if self._disconnected or self.response_started:
            return
        head = self._head
        body, self.body = bytes(self.body), b""
        request = request_of(
            head.route,
            params=head.params,
            path=head.path,
            query=head.query,
            headers={**head.headers, "content-length": self._length.decode("latin-1")}
            if self._length
            else head.headers,
            principal=self._principal,
            body=body,
        )
        direct = head.route.direct
        try:
            begun = direct is not None and direct(request, self._respond, lambda error: self._fail(request, error))
        except Exception as error:  # not hidden: it is logged, and answered with a 500
            self._fail(request, error)
            return
        if not begun:
            self._protocol.run_aside(self._handle(request))

    async def _handle(self, request: Request) -> None:
        try:
            response = await self._head.route.handler(request)
            if isinstance(response, StreamedResponse):
                raise TypeError(f"{self._head.route.path} has a direct way and streams its answer")
        except Exception as error:  # as above
            self._fail(request, error)
        else:
            self._respond(response)

    def _fail(self, request: Request, error: Exception) -> None:
        self._respond(failed(self._protocol.server_config, request, error))

    def _respond(self, response: Response) -> None:
        if self._disconnected or self.response_started:
            return
        self.response_started = True
        self._let_go()
        transport = self._protocol.transport
        if transport.is_closing():
            # uvloop raises when it is to write then, and that would go up to whoever brought Redis' replies to all.
            # `disconnected` does not tell: it is set on the connection's last request.
            return
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False  # the client may send the body now, or the next request in its place
        status, body, content_type, headers = response
        default = self._protocol.server_state.default_headers
        if headers or "origin" in self._head.headers:
            head = STATUS_LINE[status] + _written(
                [*default, *header_pairs(self._protocol.server_config, response, self._head.headers)]
            )
        else:
            head = _usual_head(self._protocol.server_config, status, content_type, *default)
        close = b"" if self.keep_alive else b"connection: close\r\n"
        if len(body) <= _MOST_JOINED:
            transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, close, len(body), body))
        else:
            transport.write(b"%b%bcontent-length: %d\r\n\r\n" % (head, close, len(body)))
            transport.write(body)
        if not self.keep_alive:
            transport.close()
        self._protocol.answered(self)


def connection_table_of(app: Any) -> ConnectionTable:
    """Return the table of the connections that an application answers."""
    if not isinstance(app, FrontDoor):
        raise TypeError("this protocol serves a front door")
    return app.connections


class DirectHttpProtocol(FramedHttpProtocol):
    """uvicorn's protocol, which answers the direct routes of a front door itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        app = self.config.loaded_app
        if not isinstance(app, FrontDoor):
            raise TypeError("this protocol serves a front door")
        self._door = app
        self.server_config = app.config
        self._table = app.connections
        # The connection's place among all, None before and after.
        self.seat: Seat | None = None
        # Whether it is counted to more than an address.
        self.is_identified = False
        self._is_counted = request_guard.counts(self.server_config)
        # The request that uvicorn's way answers now; `cycle` is the one that came last.
        self._running: Any = None
        # The method, the URL and the headers that came last, and what they mean.
        self._asked: tuple[bytes, bytes, HeaderPairs] | None = None
        self._head: _Head | None = None
        # Of a request that was like the one before it: its bytes, and what they mean.
        self._repeated: tuple[Repeated, _Head] | None = None
        self._is_like_last = False
        # When the connection's last answer was written, by the loop's clock; something came since when infinite.
        self._idle_since = math.inf

    def take_seat(self) -> None:
        """Take a place for the connection.

        Raises:
            ShareUsedUp, AllInUse: when there is none.
        """
        peer = self.client[0] if self.client else ""
        caller = self._table.caller_behind(peer)
        self.is_identified = not caller.is_anonymous
        self.seat = self._table.admit(self, caller)

    def identify(self, caller: CallerId) -> None:
        """Count the connection to the caller of a request that came on it, once and for all.

        Raises:
            ShareUsedUp: when the caller has as many as one caller may, and all are in use.
        """
        if self.seat is not None and not self.is_identified and not caller.is_anonymous:
            self._table.identify(self.seat, caller)
            self.is_identified = True

    def waits_for_client(self) -> bool:
        """Say whether all that is owed to the client is what it does not take, and the rest of a request is missing."""
        raise NotImplementedError

    def reclaim(self) -> None:
        """Close the connection for another one."""
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        if self.seat is not None:
            self._table.remove(self.seat)
            self.seat = None
        scope: Any = self.scope
        if scope is not None:
            scope.pop(CONNECTION, None)  # they hold each other
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        # A request and its connection hold each other, and the collector seldom comes by (synapse_project.web_server).
        self.pipeline.clear()
        self._running = None
        self._asked = self._head = self._repeated = None
        self.cycle = None  # type: ignore[assignment]
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_headers_complete(self) -> None:
        cycle = self._direct_cycle()
        if cycle is None:
            self._take_the_long_way()
            self.headers = TRAILERS
            return
        self.headers = TRAILERS
        before, self.cycle = self.cycle, cycle  # type: ignore[assignment]  # it has what uvicorn looks at
        if before is None or before.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]

    def _direct_cycle(self) -> DirectCycle | None:
        if self._is_counted:
            return None
        asked = (self.parser.get_method(), self.url, self.headers)
        self._is_like_last = asked == self._asked
        if not self._is_like_last:
            # Who publishes mostly sends the same head again: it is read once.
            head = self._head_of(self._door, *asked)
            self._asked, self._head = (asked, head) if self.head_size() <= _MOST_KEPT else (None, None)
        else:
            head = self._head
        return None if head is None else DirectCycle(self, head, self.length)

    def begin_again(self, piece: bytes) -> bool:
        """Begin the request that a piece holds, when it is like one before it but for its body. Nothing may be owed or
        half read."""
        if self._repeated is None or self.cycle is None or not self.cycle.response_complete:
            return False
        known, head = self._repeated
        found = known.again(piece)
        if found is None:
            return False
        self._unset_keepalive_if_required()
        cycle = self.cycle = DirectCycle(self, head, *found)  # type: ignore[assignment]  # as when it was read
        cycle.start()
        return True

    def learn(self, piece: bytes) -> None:
        """Remember the request that a piece held from its first byte to its last, when it is one that is answered
        here and came for the second time."""
        cycle = self.cycle
        if self._is_like_last and isinstance(cycle, DirectCycle) and cycle.keep_alive and self._head is not None:
            found = None if self.expect_100_continue else repeated(piece, self.length, most=_MOST_KEPT)
            if found is not None:
                self._repeated = found, self._head

    def head_size(self) -> int:
        """Return about how many bytes the head has that was read last."""
        return len(self.url) + sum(len(name) + len(text) + 4 for name, text in self.headers)

    def _head_of(self, door: FrontDoor, method: bytes, target: bytes, pairs: HeaderPairs) -> _Head | None:
        """Return the head of a request that is answered here, None when it is not."""
        url = httptools.parse_url(target)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        route, params = door.route(method.decode("ascii"), path)
        if route is None or route.direct is None or route.identify not in (None, nobody):
            return None
        scope, headers = request_guard.seen(
            self.server_config, {"client": self.client, "headers": pairs}, headers_of(pairs)
        )
        # What is refused for its origin takes the long way, so that it costs the others nothing.
        if is_for_django(self.server_config, route, headers) or request_guard.is_foreign(
            self.server_config, route.method, headers, scheme="http"
        ):
            return None
        address = scope["client"][0] if scope["client"] else ""
        return _Head(route, params, path, url.query or b"", headers, address)

    def _take_the_long_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)  # makes what ASGI asks for
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        if self.length:
            self.headers.append((_LENGTH, self.length))
        scope: Any = self.scope
        scope[CONNECTION] = self
        super().on_headers_complete()

    def waits(self) -> bool:
        """Say whether the request that came last is one whose caller may leave before it is answered."""
        if self.cycle is None or isinstance(self.cycle, DirectCycle):
            return False
        route, _ = self._door.route(self.cycle.scope["method"], self.cycle.scope["path"])
        return route is not None and route.waits

    def on_body(self, body: bytes) -> None:
        if not isinstance(self.cycle, DirectCycle):
            super().on_body(body)
        else:
            self.cycle.take(body)

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, DirectCycle):
            self.cycle.end()
        else:
            super().on_message_complete()
        if self.cycle.response_complete:
            self._idle_since = self.loop.time()  # answered before it was whole: nothing else tells that it is over

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if isinstance(cycle, DirectCycle):
            # Not at once: of many that came together each would begin inside the one before it.
            self.loop.call_soon(cycle.start)
        else:
            self._running = cycle
            super()._start_asgi_task(cycle, app if cycle.scope["http_version"] == "1.1" else without_chunks(app, cycle))

    def on_response_complete(self) -> None:
        """Do what uvicorn does, with one timer for all pauses between requests instead of a new one for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        following = self.pipeline.pop() if self.pipeline else None
        if not self.pipeline:
            # Not before the last one's turn: nobody counts what its body takes of the memory until it begins.
            self.flow.resume_reading()
        if following is not None:
            self._start_asgi_task(*following)
            return
        if self.seat is not None:
            self.seat.use()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait_idly(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Note that something came. uvicorn ends its timer here; this one looks by itself how long nothing came."""
        self._idle_since = math.inf

    def _wait_idly(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wait_idly(min(left, self.timeout_keep_alive))
        else:
            self.timeout_keep_alive_handler()

    def answered(self, cycle: DirectCycle) -> None:
        """Go on to the connection's next request, as soon as the client has taken enough of the answer."""
        if self.flow.write_paused:
            self.run_aside(self._answered_later(cycle))
        else:
            cycle.response_complete = True
            self.on_response_complete()

    async def _answered_later(self, cycle: DirectCycle) -> None:
        await self.flow.drain()
        # Not before: what came meanwhile would begin, and the next one as well when it goes on here.
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()  # the server stops, and left it to the end of this answer
        self.on_response_complete()

    def run_aside(self, work: Any) -> None:
        """Run a coroutine as uvicorn runs those of ASGI: the server waits for it when it stops."""
        task: asyncio.Task[None] = self.loop.create_task(work)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


@lru_cache(maxsize=64)
def _usual_head(config: ServerConfig, status: int, content_type: str, *default: tuple[bytes, bytes]) -> bytes:
    """Return the beginning of every answer of the kind, for as long as the server's own headers say: a second, for the
    date is one of them."""
    return STATUS_LINE[status] + _written([*default, *header_pairs(config, Response(content_type=content_type), {})])


def _written(pairs: HeaderPairs) -> bytes:
    # A value of several lines would be read as several headers, or as the body.
    lines = [name + b": " + text.replace(b"\r", b" ").replace(b"\n", b" ") for name, text in pairs]
    return b"\r\n".join([*lines, b""])
