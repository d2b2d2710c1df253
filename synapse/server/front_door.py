"""The front door: an ASGI application that answers some routes on the event loop and passes all others to Django.

Django's own ASGI handler is not used, because every synchronous middleware and signal costs it a change of threads.
Django's synchronous handler runs in a small pool instead, with one change for each request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from re import Pattern

from synapse.errors.streams import WebSocketRequired
from synapse.http.exchange import (
    AcceptedWebSocket,
    Caller,
    Request,
    Response,
    Route,
    StreamedResponse,
    compile_path,
    problem_response,
)
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.server import request_guard
from synapse.server.asgi_cycle import ACCEPT
from synapse.server.body_limits import Body, ClientGone
from synapse.server.config import DjangoAnswer, Fallback, Receive, Scope, Send, Sender, ServerConfig
from synapse.server.connection_table import ConnectionTable
from synapse.server.conversion import (
    HeaderPairs,
    failure_response,
    header_pairs,
    headers_of,
    is_for_django,
    pairs_of,
    principal_of,
    request_of,
)
from synapse.server.websocket import handshake
from synapse.shares import CallerId, caller_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _PathRoutes:
    """The routes of one path, by method. `prefix` is the path up to its first parameter, for a fast search."""

    pattern: Pattern[str]
    prefix: str
    routes: Mapping[str, Route]


# The keys of a scope for the connection of its request, and for whether the request is a WebSocket handshake.
CONNECTION, HANDSHAKE = "synapse.connection", "synapse.handshake"


class FrontDoor:
    """Finds the handler of a request, and converts between ASGI's messages and values."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        config: ServerConfig,
        django: Fallback,
        lifespan: Callable[[Receive, Send], Awaitable[None]],
    ) -> None:
        self.config = config
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        self._paths = [_PathRoutes(compile_path(path), path.partition("{")[0], each) for path, each in by_path.items()]
        self.django = django
        self._lifespan = lifespan

    @cached_property
    def connections(self) -> ConnectionTable:
        """The table of the server's connections."""
        return ConnectionTable(self.config.shares_of("open-connections"), self.config.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        # The server refuses any other kind (websocket) that is not accepted.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        extra: Mapping[str, str] = {}
        try:
            scope, headers = request_guard.resolve_client(self.config, scope, headers)
            request_guard.check_host(self.config, scope["path"], headers, version=scope["http_version"])
            if scope.get(HANDSHAKE):
                headers = handshake.with_credential(headers)
            extra = await request_guard.count_request(self.config, scope, headers)
            if scope.get(HANDSHAKE):
                request_guard.check_page(self.config, headers, scheme=scope["scheme"])
                handshake.check(headers)
            request_guard.check_origin(self.config, scope["method"], headers, scheme=scope["scheme"])
            preflight = request_guard.answer_preflight(self.config, scope["method"], headers)
            is_early = preflight is not None
            response = preflight or await self._find_response(scope, headers, receive)
        except FAILURES as failure:
            response, is_early = problem_response(problem_of(failure), headers), True
        except ClientGone:
            return
        if is_early and "expect" in headers:
            # A client that was not told to send the body may send its next request instead.
            extra = {**extra, "connection": "close"}
        if isinstance(response, AcceptedWebSocket):
            pairs = [*handshake.acceptance(headers), *pairs_of(extra)]
            await send({"type": ACCEPT, "headers": pairs, "serve": response.serve})
        elif isinstance(response, StreamedResponse):
            await _stream(response, [*header_pairs(self.config, response, headers), *pairs_of(extra)], receive, send)
        elif isinstance(response, Response):
            length = (b"content-length", b"%d" % (len(response.body) + sum(map(len, response.rest))))
            pairs = [*header_pairs(self.config, response, headers), *pairs_of(extra), length]
            await _send(send, response.status, pairs, response.body, *response.rest)
        else:
            status, pairs, body = response
            await _send(send, status, [*pairs, *pairs_of(extra)], body)

    async def _find_response(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> Response | StreamedResponse | AcceptedWebSocket | DjangoAnswer:
        route, params = self.route(scope["method"], scope["path"])
        address = (scope.get("client") or ("",))[0]
        if route is None or is_for_django(self.config, route, headers):
            sender = self.django.sender_of(scope["path"], headers, address)
            _identify(scope, sender.caller)
            with Body(self.config, self.django.person_of, receive, headers, sender) as body:
                return await self.django(scope, await body.read(), body.sender)
        # Authenticate before reading the body: a request without a valid key costs no memory.
        principal = principal_of(self.config, route, headers, address=address)
        _identify(scope, caller_of(principal))
        with Body(self.config, self.django.person_of, receive, headers, Sender(caller_of(principal), address)) as body:
            request = request_of(
                route,
                params=params,
                path=scope["path"],
                query=scope["query_string"],
                headers=headers,
                principal=principal,
                body=await body.read(),
            )
            return await _call_handler(self.config, route, request, scope, receive)

    def route(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        """Return the route that answers a request on the event loop, with the path's parameters; None when there is no
        such route.
        """
        for path_routes in self._paths:
            if path.startswith(path_routes.prefix) and (match := path_routes.pattern.fullmatch(path)):
                # Django refuses or answers a method that the path does not have here.
                return path_routes.routes.get(method), match.groupdict()
        return None, {}


def _identify(scope: Scope, caller: CallerId) -> None:
    """Count the connection of a request to its caller, if that is more than an address."""
    if (connection := scope.get(CONNECTION)) is not None:
        connection.identify(caller)


async def _call_handler(
    config: ServerConfig, route: Route, request: Request, scope: Scope, receive: Receive
) -> Response | StreamedResponse | AcceptedWebSocket:
    watch = None if request.caller is None else asyncio.create_task(_watch_caller(request.caller, receive))
    try:
        if route.identify is not None:
            request = request._replace(principal=await route.identify(request))
            _identify(scope, caller_of(request.principal))
        response = await route.handler(request)
    except FAILURES:
        raise
    except Exception as error:
        return failure_response(config, request, error)
    finally:
        if watch is not None:
            watch.cancel()
    if isinstance(response, AcceptedWebSocket) and not scope.get(HANDSHAKE):
        raise WebSocketRequired(
            "Only WebSocket requests are accepted here: open the connection with a WebSocket client (RFC 6455, 4.1)."
        )
    return response


async def _watch_caller(caller: Caller, receive: Receive) -> None:
    await _wait_for_end(receive)
    caller.record_disconnect()


async def _wait_for_end(receive: Receive) -> None:
    """Wait until the caller disconnects. A complete request receives nothing else (ASGI HTTP, Disconnect)."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, status: int, headers: HeaderPairs, *parts: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in parts[:-1]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": parts[-1]})


async def _stream(response: StreamedResponse, headers: HeaderPairs, receive: Receive, send: Send) -> None:
    """Write the response. `send` waits while the client reads more slowly than the server writes, so memory stays
    bounded.
    """
    writing = asyncio.create_task(_write(response, headers, send))
    going = asyncio.create_task(_wait_for_end(receive))
    try:
        await asyncio.wait({writing, going}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # The remaining task has nothing more to do. A response that was cut off closes its chunks.
        for task in (writing, going):
            task.cancel()
        ended, _ = await asyncio.gather(writing, going, return_exceptions=True)
    if isinstance(ended, Exception):
        logger.error("an answer broke off", exc_info=ended)


async def _write(response: StreamedResponse, headers: HeaderPairs, send: Send) -> None:
    async with aclosing(response.chunks) as chunks:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.first, "more_body": True})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
