"""The routes made from endpoints: those of the event loop, and those of Django with its generic view.

The event loop answers without a thread and without a database query. A route's fast path runs the conversation of its
handler without a task, and leaves requests that must wait for their turn to the handler.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import orjson
from django.http import HttpResponse
from django.urls import URLPattern
from rest_framework.request import Request as DjangoRequest

from core import payload_access
from core.views import ApiView, route, to_django, to_request
from streams import connections
from streams.access import MetricsAuthentication, PrincipalAuthentication, principal_of
from streams.connections import QUEUES
from streams.snapshot import holder
from synapse.endpoints import Endpoint, EventLoop, by_path
from synapse.http.exchange import Direct, Done, Failed, Handler, Request, Response, Route, identify_as_anonymous
from synapse.redis import AsyncExecutor, Conversation
from synapse.shares import caller_of


def routes_of(endpoints: Iterable[Endpoint]) -> tuple[Route, ...]:
    """Return routes for the endpoints that the event loop answers."""
    return tuple(_route_of(each, each.on_event_loop) for each in endpoints if each.on_event_loop is not None)


def _route_of(endpoint: Endpoint, loop: EventLoop) -> Route:
    direct = loop.direct
    if loop.handler is None and not loop.waits:
        direct = _fast_path_of(endpoint, loop.size)
    return Route(
        method=endpoint.method,
        path=endpoint.path,
        handler=loop.handler or _handler_of(endpoint, loop),
        direct=direct,
        waits=loop.waits,
        identify=identify_as_anonymous if endpoint.requires.open_to_all else loop.identify,
        is_websocket=loop.is_websocket,
    )


def _handler_of(endpoint: Endpoint, loop: EventLoop) -> Handler:
    async def handler(request: Request) -> Response:
        async with _wait_for_turn(loop, request):
            executor, conversation = _begin_conversation(endpoint, request)
            return await executor.run(conversation)

    return handler


def _fast_path_of(endpoint: Endpoint, size: Callable[[Request], int] | None) -> Direct:
    def direct(request: Request, done: Done, failed: Failed) -> bool:
        if size is not None and size(request):
            return False
        executor, conversation = _begin_conversation(endpoint, request)
        executor.begin(conversation, done, failed)
        return True

    return direct


def _begin_conversation(endpoint: Endpoint, request: Request) -> tuple[AsyncExecutor, Conversation[Response]]:
    """Return the conversation that answers a request, and the executor that runs it."""
    catalog = holder.current()
    taken, stored = endpoint.parse_request(request, catalog)
    return connections.async_executor_for(stored), endpoint.answer_parsed(taken, catalog)


@asynccontextmanager
async def _wait_for_turn(loop: EventLoop, request: Request) -> AsyncIterator[None]:
    """Wait for the turn of a large request, which takes a multiple of its size in memory, and hold it during the
    block.
    """
    size = 0 if loop.size is None else loop.size(request)
    if not size:
        yield
        return
    async with QUEUES[loop.queue].turn(caller_of(request.principal), size):
        yield


# The metrics also accept SYNAPSE_METRICS_TOKEN.
_AUTHENTICATION = {"metrics": MetricsAuthentication}


class EndpointView(ApiView):
    """The view of one path; it answers each method with that method's endpoint."""

    endpoints: ClassVar[Mapping[str, Endpoint]]

    def answer(self, request: DjangoRequest, **params: str) -> HttpResponse:
        """Answer a request with the endpoint of its method."""
        endpoint = self.endpoints["GET" if request.method == "HEAD" else str(request.method)]
        asked = to_request(request._request, principal_of(request), **params)
        return to_django(_record_access(endpoint, asked, _run_endpoint(endpoint, asked)))


def _run_endpoint(endpoint: Endpoint, asked: Request) -> Response:
    catalog = holder.current()
    taken, stored = endpoint.parse_request(asked, catalog)
    if endpoint.is_conversation:
        return connections.executor_for(stored).run(endpoint.answer_parsed(taken, catalog))
    return endpoint.make_response(endpoint.handler(taken), asked)


def _record_access(endpoint: Endpoint, asked: Request, answer: Response) -> Response:
    """Record the events that the answer shows to a person, and return the answer."""
    if endpoint.reveals is not None and asked.principal.kind == "person":
        payload_access.record_each(asked.principal, answer.shown or endpoint.reveals(orjson.loads(answer.whole_body)))
    return answer


def urls_of(endpoints: Iterable[Endpoint]) -> list[URLPattern]:
    """Return URL patterns for endpoints: one for each path, with the name of its first endpoint."""
    return [
        route(path, _view_of(methods).as_view(), next(iter(methods.values())).name)
        for path, methods in by_path(endpoints).items()
    ]


def _view_of(methods: Mapping[str, Endpoint]) -> type[EndpointView]:
    first = next(iter(methods.values()))
    values: dict[str, Any] = {"endpoints": methods, "__doc__": first.summary}
    values |= {method.lower(): EndpointView.answer for method in methods}
    kind = _AUTHENTICATION.get(first.name, PrincipalAuthentication)
    values["authentication_classes"] = [] if first.requires.open_to_all else [kind]
    if first.on_event_loop and first.on_event_loop.is_endless:
        # HEAD is not allowed, because the answer to GET never ends.
        values["http_method_names"] = ["get", "options"]
    return type(first.name, (EndpointView,), values)
