"""HTTP requests, responses and routes as plain values, so that one function serves the event loop and Django alike.

Headers that both ways share, and patterns such as `/streams/{stream}/info`, stand here too. Values made for each
request or event are NamedTuples: making a frozen dataclass takes three times as long.
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

# RFC 9111, 5.2.2.5: neither the browser nor a proxy keeps the answer.
NO_STORE = "no-store"
# A response with data runs and loads nothing (Content Security Policy, level 3).
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"


_PART = re.compile(r"\{(\w+)\}")


def expression(path: str) -> str:
    """Return a path's regular expression: a part in braces matches one path segment, and a trailing slash is
    ignored."""
    return _PART.sub(r"(?P<\1>[^/]+)", path) + "/?"


def compiled(path: str) -> re.Pattern[str]:
    """Return the pattern of a path with its leading slash."""
    return re.compile(expression(path))


JSON = "application/json"
# The answer depends on the header Accept (RFC 9110, 12.5.5).
VARY_ACCEPT = {"Vary": "Accept"}
# A body of at most this many bytes is sent in one piece.
MOST_JOINED = 1024 * 1024
# Stands for a list until the text around it is written. JSON holds no such byte.
_LIST = b"\0"


class Caller:
    """The connection of a caller, for slow responses: `left` is true once the caller has disconnected."""

    def __init__(self) -> None:
        self.left = False
        self._tell: Callable[[], None] = _nobody

    def leave(self) -> None:
        """Record that the connection is closed."""
        self.left = True
        self._tell()

    @contextmanager
    def telling(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call `listener` when the caller disconnects during the block."""
        self._tell = listener
        try:
            yield
        finally:
            self._tell = _nobody


def _nobody() -> None:
    """Stand in for a listener."""


class Request(NamedTuple):
    """One complete HTTP request.

    `headers` have lower-case names; `body` is decoded, where they name a coding. `query` holds the last value
    of a repeated name; `values` gives all of them. `params` are the parts that the route's pattern named. `caller` is
    set for routes that wait, on the event loop.
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
    """One HTTP answer, completely written. A long body continues in `rest`, which is sent unchanged: joining the parts
    would delay all other requests, by a millisecond for each MiB. `shown` are the ids of the events in it, by stream,
    where the body itself does not name them."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = NO_TEXTS
    rest: Sequence[bytes] = ()
    shown: Mapping[str, Sequence[str]] = _NO_IDS

    @property
    def whole_body(self) -> bytes:
        """The body in one piece: for threads that may take long."""
        return b"".join((self.body, *self.rest)) if self.rest else self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedResponse:
    """A response whose body are the pieces that `chunks` yields.

    `chunks` is closed in the end, also when the client disconnects.
    """

    chunks: AsyncGenerator[bytes, None]
    first: bytes = b""
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class WebSocket(Protocol):
    """One end of a WebSocket connection (RFC 6455), whose messages are texts in UTF-8."""

    async def receive(self) -> bytes | None:
        """Wait for the next message. None: no more come, because the client is gone, or this side ends the connection.

        The client is read no faster than its messages are received.
        """

    def send(self, *messages: bytes) -> None:
        """Send messages. A sender waits with `drain` before it sends more; messages after the end are dropped."""

    async def drain(self) -> None:
        """Wait until the client has read enough of the sent messages, or has disconnected."""

    def close(self, code: int, reason: str = "") -> None:
        """End the connection (RFC 6455, 7.4)."""

    @property
    def is_stopping(self) -> bool:
        """Whether no more messages come because the server stops."""


Serve = Callable[[WebSocket], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedWebSocket:
    """The acceptance of a WebSocket handshake: `serve` has the connection until it returns."""

    serve: Serve


Handler = Callable[[Request], Awaitable[Response | StreamedResponse | AcceptedWebSocket]]
Done = Callable[[Response], None]
Failed = Callable[[Exception], None]
Direct = Callable[[Request, Done, Failed], bool]
# Identifies the caller of a route that takes more than a key. Raises a Problem when the caller may not use the route.
Identify = Callable[[Request], Awaitable[Principal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that the front door answers on the event loop: an exact method and path, and the handler.

    `path` is written with named parts, as in `/events/{stream}`; a part matches one path segment. A trailing slash is
    ignored. `waits`: the response may be slow, and the caller may disconnect meanwhile. `identify`: authenticates the
    caller of this route, given a principal with only the address; without it, the route takes a key. `is_websocket`:
    handshakes of WebSocket are accepted here; the handler accepts any request, and others than handshakes are refused.

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


async def nobody(request: Request) -> Principal:
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
    """Return a JSON response whose member `name` is a list of serialized items. One item may hold several, with commas
    between them."""
    before, after = orjson.dumps({**document, name: orjson.Fragment(_LIST)}, default=written).split(_LIST)
    body, rest = _joined(before, items, after)
    return Response(status, body, content_type, headers or NO_TEXTS, rest)


def array_response(
    items: Sequence[bytes],
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    shown: Mapping[str, Sequence[str]] = _NO_IDS,
) -> Response:
    """Return a response that is a list of serialized items."""
    body, rest = _joined(b"", items, b"")
    return Response(200, body, content_type, headers or NO_TEXTS, rest, shown)


def _joined(before: bytes, items: Sequence[bytes], after: bytes) -> tuple[bytes, Sequence[bytes]]:
    """Return a list of items, and the text around it: in one piece, or its beginning and the further parts of a long
    one."""
    parts = [before + b"["]
    for item in items:
        parts += (item, b",")
    if items:
        parts.pop()
    parts.append(b"]" + after)
    is_long = sum(map(len, parts)) > MOST_JOINED
    return (parts[0], parts[1:]) if is_long else (b"".join(parts), ())


def problem_response(problem: problems.Problem, asked: Mapping[str, str] = NO_TEXTS) -> Response:
    """Return the problem as an `application/problem+json` answer (RFC 9457), and forget where it was raised. The
    headers `asked` are those of the request: the problem tells the trace that they name.

    An exception that is kept in a variable forms a cycle with its traceback, and so does the request: only the garbage
    collector, which seldom runs, would free it.
    """
    problem.__traceback__ = None
    return Response(
        status=problem.status,
        body=problems.render(problem, trace_id=trace_id_of(asked)),
        content_type=problems.PROBLEM_JSON,
        headers=problem.headers,
    )
