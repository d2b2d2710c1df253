"""HTTP requests, responses and routes as values, so that the event loop and Django call the same functions.

Also shared headers, and patterns of paths such as `/streams/{stream}/info`. Values that are created for each request
are NamedTuples: creating a frozen dataclass takes three times as long.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

import orjson

from synapse import problems
from synapse.auth.principal import ANONYMOUS, Principal
from synapse.formats.exact_json import written
from synapse.formats.text import NO_TEXTS
from synapse.tracing.context import trace_id_of

# RFC 9111, 5.2.2.5: no cache may store the answer.
NO_STORE = "no-store"
# A browser that shows an answer with data runs and loads nothing (Content Security Policy, level 3).
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"


_PART = re.compile(r"\{(\w+)\}")


def path_expression(path: str) -> str:
    """Return the regular expression of a path: a part in braces matches one path segment, and a trailing slash is
    ignored.
    """
    return _PART.sub(r"(?P<\1>[^/]+)", path) + "/?"


def compile_path(path: str) -> re.Pattern[str]:
    """Compile the pattern of a path that begins with a slash."""
    return re.compile(path_expression(path))


JSON = "application/json"
# The answer depends on the header Accept (RFC 9110, 12.5.5).
VARY_ACCEPT = {"Vary": "Accept"}
# A body of at most this many bytes is sent in one piece.
MOST_JOINED = 1024 * 1024
# A placeholder for a list while the text around it is serialized. JSON contains no such byte.
_LIST = b"\0"


class Caller:
    """The connection of a caller, for slow responses. `left`: the caller has disconnected."""

    def __init__(self) -> None:
        self.left = False
        self._listener: Callable[[], None] = _ignore_disconnect

    def record_disconnect(self) -> None:
        """Record that the connection is closed."""
        self.left = True
        self._listener()

    @contextmanager
    def on_disconnect(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call `listener` when the caller disconnects during the block."""
        self._listener = listener
        try:
            yield
        finally:
            self._listener = _ignore_disconnect


def _ignore_disconnect() -> None:
    """Do nothing when the caller disconnects."""


class Request(NamedTuple):
    """One complete HTTP request.

    `headers` have lower-case names; `body` is already decoded. `query` has the last value of a repeated name; `values`
    returns all of them. `params` has the values of the path's named parts. `caller` is set for routes that may be slow,
    on the event loop.
    """

    method: str
    path: str
    params: Mapping[str, str] = NO_TEXTS
    query: Mapping[str, str] = NO_TEXTS
    headers: Mapping[str, str] = NO_TEXTS
    body: bytes = b""
    principal: Principal = ANONYMOUS
    raw_query: str = ""
    caller: Caller | None = None

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter, in their order."""
        return [text for given, text in parse_qsl(self.raw_query, keep_blank_values=True) if given == name]


_NO_IDS: Mapping[str, Sequence[str]] = MappingProxyType({})


class Response(NamedTuple):
    """One HTTP response. A long body continues in `rest`, whose parts are sent one by one: joining them would delay all
    other requests, by a millisecond for each MiB. `shown` has the ids of the events in it, by stream, if the body does
    not name them.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = NO_TEXTS
    rest: Sequence[bytes] = ()
    shown: Mapping[str, Sequence[str]] = _NO_IDS

    @property
    def whole_body(self) -> bytes:
        """The body in one piece: for threads, where joining may take long."""
        return b"".join((self.body, *self.rest)) if self.rest else self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedResponse:
    """A response whose body consists of the parts that `chunks` yields.

    `chunks` is always closed at the end, also when the client disconnects.
    """

    chunks: AsyncGenerator[bytes, None]
    first: bytes = b""
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class WebSocket(Protocol):
    """One end of a WebSocket connection (RFC 6455), whose messages are texts in UTF-8."""

    async def receive(self) -> bytes | None:
        """Wait for the next message. None: there are no more, because the client disconnected, or this side ends the
        connection.

        Data are read from the client only as fast as messages are received.
        """

    def send(self, *messages: bytes) -> None:
        """Send messages. A sender waits with `drain` before it sends more; messages after the end are dropped."""

    def frame(self, *messages: bytes) -> bytes:
        """Return the frames of messages, which may be sent to any number of clients."""

    def send_frames(self, frames: bytes) -> None:
        """Send messages as `send`, given their frames."""

    async def drain(self) -> None:
        """Wait until the client has read enough of the sent messages, or has disconnected."""

    def close(self, code: int, reason: str = "") -> None:
        """End the connection (RFC 6455, 7.4)."""

    @property
    def is_stopping(self) -> bool:
        """Whether `receive` returned None because the server stops."""


Serve = Callable[[WebSocket], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedWebSocket:
    """The acceptance of a WebSocket handshake: `serve` handles the connection until it returns."""

    serve: Serve


Handler = Callable[[Request], Awaitable[Response | StreamedResponse | AcceptedWebSocket]]
Done = Callable[[Response], None]
Failed = Callable[[Exception], None]
Direct = Callable[[Request, Done, Failed], bool]
# Authenticates the caller of a route that accepts more than keys. Raises a Problem when the caller may not use it.
Identify = Callable[[Request], Awaitable[Principal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that the front door answers on the event loop: an exact method and path, and the handler.

    `path` may have named parts, as in `/events/{stream}`; each matches one path segment. A trailing slash is ignored.
    `waits`: the response may be slow, and the caller may disconnect meanwhile. `identify`: authenticates the caller of
    this route, given a principal with only the address; without it, the route requires a key. `is_websocket`: the route
    is for WebSocket handshakes. Its handler is called for any request; afterwards, requests that are not handshakes are
    refused.

    `direct` is the handler's fast path, without a task: it calls one of its two callbacks, once, now or later on the
    event loop. For a request that needs the handler, it returns False and calls neither.
    """

    method: str
    path: str
    handler: Handler
    waits: bool = False
    direct: Direct | None = None
    identify: Identify | None = None
    is_websocket: bool = False


async def identify_as_anonymous(request: Request) -> Principal:
    """Treat every caller as anonymous, with or without credentials: for the few routes that are open to everyone."""
    return request.principal


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `value` as a JSON answer."""
    return Response(status=status, body=orjson.dumps(value, default=written), headers=headers or NO_TEXTS)


def listing_response(
    document: Mapping[str, Any],
    name: str,
    items: Sequence[bytes],
    *,
    status: int = 200,
    content_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a JSON response whose member `name` is a list of serialized items. One element of `items` may be several
    items with commas between them.
    """
    before, after = orjson.dumps({**document, name: orjson.Fragment(_LIST)}, default=written).split(_LIST)
    body, rest = _join(before, items, after)
    return Response(status, body, content_type, headers or NO_TEXTS, rest)


def array_response(
    items: Sequence[bytes],
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    shown: Mapping[str, Sequence[str]] = _NO_IDS,
) -> Response:
    """Return a response that is a list of serialized items."""
    body, rest = _join(b"", items, b"")
    return Response(200, body, content_type, headers or NO_TEXTS, rest, shown)


def _join(before: bytes, items: Sequence[bytes], after: bytes) -> tuple[bytes, Sequence[bytes]]:
    """Join a list of items and the text around it: to one piece, or for a long list to its beginning and the further
    parts.
    """
    parts = [before + b"["]
    for item in items:
        parts += (item, b",")
    if items:
        parts.pop()
    parts.append(b"]" + after)
    is_long = sum(map(len, parts)) > MOST_JOINED
    return (parts[0], parts[1:]) if is_long else (b"".join(parts), ())


def problem_response(problem: problems.Problem, asked: Mapping[str, str] = NO_TEXTS) -> Response:
    """Return the problem as an `application/problem+json` response (RFC 9457), and delete its traceback. `asked` are
    the headers of the request, whose trace id the response contains.

    An exception in a variable forms a reference cycle with its traceback, which would keep the request in memory until
    the garbage collector runs, which it seldom does.
    """
    problem.__traceback__ = None
    return Response(
        status=problem.status,
        body=problems.render(problem, trace_id=trace_id_of(asked)),
        content_type=problems.PROBLEM_JSON,
        headers=problem.headers,
    )
