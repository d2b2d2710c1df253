"""The fast path: a request is answered on the event loop directly from the parser, without ASGI.

ASGI requires a task, an event and a dozen dictionaries for each request: more than all the work of storing an event. So
a route with a `direct` handler is answered by the callbacks of two connections: the client's, which passes the request
on, and Redis', which passes the reply on. All other requests go through ASGI and the front door. Both paths share the
front door's routes, checks and headers.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from synapse.auth.principal import ANONYMOUS
from synapse.formats.text import NO_TEXTS
from synapse.http.exchange import Request, Response, Route, identify_as_anonymous, problem_response
from synapse.problems import Problem
from synapse.runtime.turn_queue import turn_queue
from synapse.server import request_guard
from synapse.server.asgi_cycle import BODILESS, CONTINUE, HeaderPairs, encode_head
from synapse.server.body_limits import SMALL, Reservation, check_announced, check_read
from synapse.server.cached_head import VARYING, CachedHead, RepeatedRequest, cacheable_head
from synapse.server.client_connection import ClientConnection
from synapse.server.config import ServerConfig
from synapse.server.conversion import (
    failure_response,
    header_pairs,
    headers_of,
    is_for_django,
    principal_of,
    request_of,
)
from synapse.server.front_door import FrontDoor
from synapse.server.request_parser import RequestParser
from synapse.shares import caller_of

# A larger head is parsed again each time: ten thousand connections may each keep theirs.
_MOST_KEPT = 2 * 1024
# A larger response is not joined with its head to one piece, and a larger body is not copied at once.
_MOST_JOINED = 64 * 1024


class _Head(NamedTuple):
    """The head of a request, without the length of the body. `address` is the client's, also behind trusted proxies."""

    route: Route
    params: Mapping[str, str]
    path: str
    query: bytes
    headers: Mapping[str, str]
    address: str


class FastPath:
    """Finds the requests of one connection that the fast path answers, and remembers repeated heads."""

    def __init__(self, door: FrontDoor, config: ServerConfig) -> None:
        self._door = door
        self._config = config
        self._is_counted = request_guard.has_rates(config)
        # The method, URL and headers of the last request, and the parsed head.
        self._asked: tuple[bytes, bytes, HeaderPairs] | None = None
        self._head: _Head | None = None
        # The bytes and the parsed head of a request that repeated the one before it.
        self._repeated: tuple[CachedHead, _Head] | None = None
        self._is_like_last = False

    def cycle(self, connection: ClientConnection, requests: RequestParser) -> "DirectCycle | None":
        """Return the request whose head was parsed last, None when the fast path does not answer it."""
        if self._is_counted:
            return None
        asked = (requests.method, requests.url, requests.headers)
        known, head = self._asked, self._head
        # Most publishers repeat their heads except for some values, so each head is parsed once.
        self._is_like_last = asked == known
        if not self._is_like_last:
            self._is_like_last = (
                known is not None and asked[:2] == known[:2] and _without_varying(asked) == _without_varying(known)
            )
            if not self._is_like_last:
                head = self._head_of(connection.client, *asked)
            elif head is not None:
                varying = headers_of([header for header in requests.headers if header[0] in VARYING])
                head = head._replace(headers={**head.headers, **varying})
            self._asked, self._head = (asked, head) if requests.head_size() <= _MOST_KEPT else (None, None)
        return None if head is None else DirectCycle(connection, head, requests)

    def find_repeated(
        self, connection: ClientConnection, requests: RequestParser, piece: bytes
    ) -> "DirectCycle | None":
        """Return the request in a piece whose head repeats that of an earlier request, None for any other."""
        if self._repeated is None:
            return None
        known, head = self._repeated
        found = known.match(piece)
        if found is None:
            return None
        return DirectCycle(connection, head, requests, found)

    def learn(self, requests: RequestParser, piece: bytes) -> None:
        """Remember the head of a request, if it fills the piece, the fast path answers it, it was received for the
        second time, and it leaves the connection open.
        """
        if not self._is_like_last or self._asked is None or self._head is None:
            return
        if requests.keeps_alive and not requests.expects_continue:
            found = cacheable_head(piece, requests.length, self._asked[2], most=_MOST_KEPT)
            if found is not None:
                self._repeated = found, self._head

    def _head_of(
        self, client: tuple[str, int] | None, method: bytes, target: bytes, pairs: HeaderPairs
    ) -> _Head | None:
        """Return the head of a request that the fast path answers, None for any other."""
        url = httptools.parse_url(target)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        route, params = self._door.route(method.decode("ascii"), path)
        if route is None or route.direct is None or route.identify not in (None, identify_as_anonymous):
            return None
        asked = {"client": client, "headers": pairs}
        scope, headers = request_guard.resolve_client(self._config, asked, headers_of(pairs))
        # A request that is refused for its origin takes the slower path through ASGI, so that other requests pay
        # nothing for the check.
        if is_for_django(self._config, route, headers) or request_guard.is_foreign(
            self._config, route.method, headers, scheme="http"
        ):
            return None
        if "content-encoding" in headers:
            return None  # its body is decoded on the other path, which may take several turns
        return _Head(route, params, path, url.query or b"", headers, scope["client"][0] if scope["client"] else "")


class DirectCycle:
    """One request of the fast path, and its answer."""

    def __init__(
        self, protocol: ClientConnection, head: _Head, requests: RequestParser, whole: RepeatedRequest | None = None
    ) -> None:
        """Create the cycle of a request. `whole` has its length and its body, None when the body has not arrived
        yet.
        """
        self._protocol = protocol
        self._head = head
        self._most = 0
        self._started = False
        self._reservation: Reservation | None = None
        self._principal = ANONYMOUS
        self._is_held = False
        self._is_gone = False
        self.response_started = False
        self.response_complete = False
        self._body: bytes | bytearray
        # The headers of this request; those of `head` may be an earlier request's.
        self._headers = head.headers
        if whole is None:
            self._length, self._body, self._is_whole = requests.length, bytearray(), False
            self._version = requests.version
            self.keep_alive = requests.keeps_alive
            self._expects_continue = requests.expects_continue
        else:  # only requests with such a head are remembered
            self._length, self._body, varying = whole
            if varying:
                self._headers = {**head.headers, **varying}
            self._is_whole = self.keep_alive = True
            self._version, self._expects_continue = "1.1", False

    def disconnect(self) -> None:
        """Record that the client disconnected."""
        self._is_gone = True
        self._let_go()

    def start(self) -> None:
        """Begin the request: all earlier requests of the connection have been answered. Refuse at once if the head
        requires it.
        """
        self._started = True
        if self._protocol.transport.is_closing():
            return  # the client disconnected before this request's turn
        if not self._is_whole:
            self._protocol.resume_reading()
        head = self._head
        try:
            request_guard.check_host(self._protocol.server_config, head.path, self._headers, version=self._version)
            self._principal = principal_of(
                self._protocol.server_config, head.route, self._headers, address=head.address
            )
            if self._principal.kind != "anonymous" and not self._protocol.is_identified:
                self._protocol.identify(caller_of(self._principal))
            self._most = self._protocol.server_config.max_body_bytes if head.route.identify is None else SMALL
            check_announced(self._length, most=self._most)
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem, self._headers))
            return
        if self._is_whole:
            self._run()
        elif self._expects_continue:
            self._expects_continue = False
            self._protocol.transport.write(CONTINUE)

    def take(self, part: bytes) -> None:
        """Add a part of the body. Parts that arrive after the response are dropped."""
        if len(part) > _MOST_JOINED // 2 and self._started and not self._is_held and not self._is_gone:
            # The loop would read megabytes of each body at once, even of one that is ignored. For a request whose turn
            # has not come, reading is paused already, and `_read_on` must not change that.
            self._is_held = True
            self._protocol.pause_reading()
            turn_queue.enter(self._read_on, is_last=True)
        if self.response_started or self._is_gone:
            return
        self._body += part
        if not self._started:
            if len(self._body) > SMALL:
                # A request on the ASGI path resumes reading itself while it waits for its client's end.
                self._protocol.pause_reading()
            return
        try:
            self._check_size()
        except Problem as problem:
            self._respond(problem_response(problem, self._headers))

    def end(self) -> None:
        """Record that the request is complete."""
        self._is_whole = True
        self._read_on()
        if self._started and not self.response_started:
            self._run()

    def _read_on(self) -> None:
        if self._is_held:
            self._is_held = False
            if not self._protocol.transport.is_closing():
                self._protocol.resume_reading()

    def _check_size(self) -> None:
        size = len(self._body)
        check_read(size, most=self._most)
        if size > SMALL or (size and self._most == SMALL):
            if self._reservation is None:
                self._reservation = Reservation(self._protocol.server_config, caller_of(self._principal))
            self._reservation.grow(size)

    def _let_go(self) -> None:
        if self._reservation is not None:
            self._reservation.give_back()
        # The connection keeps its last request, so drop what is large.
        self._body = b""

    def _run(self) -> None:
        if len(self._body) <= _MOST_JOINED:
            self._run_now()
        else:
            # Many bodies may be complete at the same moment, and each is copied.
            turn_queue.enter(self._run_now)

    def _run_now(self) -> None:
        if self._is_gone or self.response_started:
            return
        head = self._head
        body, self._body = bytes(self._body), b""
        request = request_of(
            head.route,
            params=head.params,
            path=head.path,
            query=head.query,
            headers=self._headers,
            principal=self._principal,
            body=body,
        )
        direct = head.route.direct
        try:
            begun = direct is not None and direct(request, self._respond, lambda error: self._fail(request, error))
        except Exception as error:  # not hidden: logged, and answered with a 500
            self._fail(request, error)
            return
        if not begun:
            self._protocol.run_aside(self._handle(request))

    async def _handle(self, request: Request) -> None:
        try:
            response = await self._head.route.handler(request)
            if not isinstance(response, Response):
                raise TypeError(f"{self._head.route.path} has a direct way and no answer in one piece")
        except Exception as error:  # as above
            self._fail(request, error)
        else:
            self._respond(response)

    def _fail(self, request: Request, error: Exception) -> None:
        self._respond(failure_response(self._protocol.server_config, request, error))

    def _respond(self, response: Response) -> None:
        if self._is_gone or self.response_started:
            return
        self.response_started = True
        self._let_go()
        transport = self._protocol.transport
        if transport.is_closing():
            # uvloop raises on a write to a closing transport, and the task that delivers Redis' replies would get the
            # exception.
            return
        if self._expects_continue and not self._is_whole:
            self.keep_alive = False  # the client may send the body now, or its next request instead
        status, body, content_type, headers, rest, _ = response
        default = self._protocol.state.default_headers
        vary = headers.get("Vary", "") if headers else ""
        if len(headers) > bool(vary) or "origin" in self._headers:
            pairs = header_pairs(self._protocol.server_config, response, self._headers)
            head = encode_head(status, [*default, *pairs])
        else:
            head = _usual_head(self._protocol.server_config, status, content_type, vary, *default)
        close = b"" if self.keep_alive else b"connection: close\r\n"
        if status in BODILESS:
            transport.write(b"%b%b\r\n" % (head, close))
        elif len(body) <= _MOST_JOINED and not rest:
            transport.write(b"%b%bcontent-length: %d\r\n\r\n%b" % (head, close, len(body), body))
        else:
            length = len(body) + sum(map(len, rest))
            transport.writelines([b"%b%bcontent-length: %d\r\n\r\n" % (head, close, length), body, *rest])
        if not self.keep_alive:
            transport.close()
        if self._protocol.is_write_paused:
            self._protocol.run_aside(self._complete_later())
        else:
            self.response_complete = True
            self._protocol.begin_next()

    async def _complete_later(self) -> None:
        """Continue as soon as the client has read enough of the response."""
        await self._protocol.drain()
        if self._is_gone:
            return
        # Not before the drain: a request that arrived meanwhile would begin then, and `begin_next` here would begin the
        # following one, too.
        self.response_complete = True
        if not self.keep_alive:
            self._protocol.transport.close()  # the server stops, and left the closing to the end of this response
        self._protocol.begin_next()


def _without_varying(asked: tuple[bytes, bytes, HeaderPairs]) -> list[tuple[bytes, bytes]]:
    """Return a head's headers without the values that differ in each request."""
    return [(name, b"" if name in VARYING else value) for name, value in asked[2]]


@lru_cache(maxsize=64)
def _usual_head(
    config: ServerConfig, status: int, content_type: str, vary: str, *default: tuple[bytes, bytes]
) -> bytes:
    """Return the start of every response of this kind, cached as long as the server's default headers stay equal: for a
    second, because of the date.
    """
    response = Response(content_type=content_type, headers={"Vary": vary} if vary else NO_TEXTS)
    return encode_head(status, [*default, *header_pairs(config, response, {})])
