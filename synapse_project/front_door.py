"""The front door: an ASGI application that answers the express lanes on the event loop and hands all else to Django.

Django's own ASGI handler is not used: every synchronous middleware and signal is a thread hop there. Its synchronous
handler runs in a small pool instead, one hop a request.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from re import Pattern
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from core.http import Caller, Handler, Request, Response, Route, StreamedResponse, problem_response
from core.patterns import compiled
from core.principal import Principal
from core.problems import Problem
from core.rights import NOTHING
from core.views import bad_host, too_large
from streams import access
from synapse_project.django_lane import DjangoLane
from synapse_project.lifespan import Lifespan
from synapse_project.streamed import streamed

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
HeaderPairs = list[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """The routes of one path, by method. `prefix` is the path up to its first named part, to find it fast."""

    pattern: Pattern[str]
    prefix: str
    routes: Mapping[str, Route]


class FrontDoor:
    """Finds who answers a request, and turns ASGI's messages into values and back."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._lanes = _lanes(routes)
        self._django = DjangoLane()
        self._lifespan = Lifespan()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        # Any other kind (websocket) is refused by the server when nobody accepts it.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        route, params = self._route(scope["method"], scope["path"])
        try:
            _check_host(headers)
            if route is None or (route.identify is None and access.is_a_persons(headers)):
                await _send(send, *await self._django(scope, await _body(receive, headers)))
                return
            # Before the body: a stranger's is not even read.
            principal = _principal(route, scope, headers)
            request = Request(
                method=scope["method"],
                path=scope["path"],
                params=params,
                query=_query(scope["query_string"]),
                raw_query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body=await _body(receive, headers),
                caller=Caller() if route.waits else None,
                principal=principal,
            )
            if route.identify is not None:
                request = replace(request, principal=await route.identify(request))
            response = await _handled(route.handler, request, receive)
        except Problem as problem:
            response = problem_response(problem)
        except ClientGone:
            return
        if isinstance(response, StreamedResponse):
            await streamed(response, _header_pairs(response, headers), receive, send)
        else:
            length = (b"content-length", b"%d" % len(response.body))
            await _send(send, response.status, [*_header_pairs(response, headers), length], response.body)

    def _route(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        for lane in self._lanes:
            if path.startswith(lane.prefix) and (match := lane.pattern.fullmatch(path)):
                # A method that the lane does not serve is Django's to refuse or to answer.
                return lane.routes.get(method), match.groupdict()
        return None, {}


def _principal(route: Route, scope: Scope, headers: Mapping[str, str]) -> Principal:
    address = (scope.get("client") or ("",))[0]
    if route.identify is None:
        return access.identify(headers, address=address)
    return Principal(kind="anonymous", name="anonymous", address=address, rights=NOTHING)


def _lanes(routes: Iterable[Route]) -> list[_Lane]:
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    return [_Lane(compiled(path), path.partition("{")[0], methods) for path, methods in by_path.items()]


def _headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers by name. The values of one that is sent twice are joined by commas (RFC 9110, 5.3)."""
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}
    if len(headers) < len(pairs):
        values: dict[str, list[str]] = {}
        for name, text in pairs:
            values.setdefault(name.decode("latin-1"), []).append(text.decode("latin-1"))
        headers = {name: ", ".join(texts) for name, texts in values.items()}
    return headers


async def _handled(handler: Handler, request: Request, receive: Receive) -> Response | StreamedResponse:
    watch = None if request.caller is None else asyncio.create_task(_watched(request.caller, receive))
    try:
        return await handler(request)
    except Problem:
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return problem_response(Problem("Something went wrong inside Synapse; its log says more."))
    finally:
        if watch is not None:
            watch.cancel()


async def _watched(caller: Caller, receive: Receive) -> None:
    """Wait until the caller leaves. Nothing else is received once the request is whole (ASGI HTTP, Disconnect)."""
    while (await receive())["type"] != "http.disconnect":
        pass
    caller.leave()


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """Read the body, and refuse one that is too large before it fills the memory."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = headers.get("content-length", "")
    if length.isdigit() and int(length[:20]) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise too_large(limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_host(headers: Mapping[str, str]) -> None:
    """Refuse hosts that are not ours, on both lanes: a page of another site must not reach a hub on this machine."""
    host = headers.get("host", "")
    if not _is_ours(host):
        raise bad_host(host)


@lru_cache(maxsize=256)
def _is_ours(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _query(query_string: bytes) -> dict[str, str]:
    return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)) if query_string else {}


def _header_pairs(response: Response | StreamedResponse, asked: Mapping[str, str]) -> HeaderPairs:
    pairs = [
        (b"content-type", response.content_type.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"vary", b"origin"),
    ]
    pairs += [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in response.headers.items()]
    origin = asked.get("origin")
    if origin is not None and origin in settings.CORS_ALLOWED_ORIGINS:
        pairs.append((b"access-control-allow-origin", origin.encode("latin-1")))
        pairs.append((b"access-control-expose-headers", ", ".join(settings.CORS_EXPOSE_HEADERS).encode()))
    return pairs


async def _send(send: Send, status: int, headers: HeaderPairs, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
