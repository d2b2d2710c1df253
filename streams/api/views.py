"""One view for every endpoint: Django REST framework authenticates and writes errors, the declaration says the rest."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import orjson
from django.http import HttpResponse
from django.urls import URLPattern
from rest_framework.request import Request

from core import payload_access
from core.views import ApiView, route, to_django, to_request
from streams import connections
from streams.access import MetricsAuthentication, PrincipalAuthentication, principal_of
from streams.snapshot import holder
from synapse.endpoints import Endpoint, by_path
from synapse.http import exchange

# The metrics take a token of their own, too.
_AUTHENTICATION = {"metrics": MetricsAuthentication}


class EndpointView(ApiView):
    """Answers the endpoints of one path, by method."""

    endpoints: ClassVar[Mapping[str, Endpoint]]

    def answer(self, request: Request, **params: str) -> HttpResponse:
        """Answer a request with the endpoint of its method."""
        endpoint = self.endpoints["GET" if request.method == "HEAD" else str(request.method)]
        asked = to_request(request._request, principal_of(request), **params)
        return to_django(_recorded(endpoint, asked, _answer(endpoint, asked)))


def _answer(endpoint: Endpoint, asked: exchange.Request) -> exchange.Response:
    catalog = holder.current()
    taken, stored = endpoint.take(asked, catalog)
    if endpoint.is_conversation:
        return connections.executor_for(stored).run(endpoint.conversation(taken, catalog))
    return endpoint.response(endpoint.handler(taken))


def _recorded(endpoint: Endpoint, asked: exchange.Request, answer: exchange.Response) -> exchange.Response:
    """Return the answer, after it was recorded which events a person was shown."""
    if endpoint.reveals is not None and asked.principal.kind == "person":
        ids = endpoint.reveals(orjson.loads(answer.whole_body))
        payload_access.record(asked.principal, f"stream {asked.params['stream']}", ids)
    return answer


def urls_of(endpoints: Iterable[Endpoint]) -> list[URLPattern]:
    """Return Django's patterns of endpoints, one for each path, under the name of its first operation."""
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
        # A HEAD would have to end, and the answer to GET does not.
        values["http_method_names"] = ["get", "options"]
    return type(first.name, (EndpointView,), values)
