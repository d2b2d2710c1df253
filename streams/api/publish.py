"""Publishing through Django REST framework: the express lane's twin, for WSGI, `runserver` and the test client."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer
from rest_framework.request import Request

from core.views import ApiView, to_django, to_request
from streams import connections
from streams.access import principal_of
from streams.api.openapi import STREAM, described, example, query
from streams.api.schemas import EVENT
from streams.api.shapes import publishing as shapes
from streams.snapshot import holder
from synapse.publishing import idempotency, pipeline
from synapse.publishing.body import CONTRACT_VERSION, JSON, NDJSON

_BODY: dict[str, Any] = {
    JSON: {"oneOf": [EVENT, {"type": "array", "items": EVENT, "minItems": 1, "maxItems": 10_000}]},
    NDJSON: {"type": "string", "description": "One event a line."},
}
_EXAMPLE = {
    "event_type": "inference-complete",
    "request_id": "req_123",
    "model_name": "task-classifier-v2",
    "latency_ms": 45,
    "confidence": 0.92,
}
_REQUESTS = [
    example("one event", _EXAMPLE),
    example("a batch", [_EXAMPLE, {**_EXAMPLE, "request_id": "req_124"}]),
    example("a batch in lines", '{"event_type":"model-loaded","model_name":"m"}\n', media_type=NDJSON),
]
_ATOMIC = query("atomic", "Store all events of a batch or none.", bool, default=False)
_TRACE = OpenApiParameter(
    "traceparent", str, OpenApiParameter.HEADER, description="W3C Trace Context; kept with the event."
)
_VERSION = OpenApiParameter(
    CONTRACT_VERSION,
    {"type": "integer", "minimum": 1},
    OpenApiParameter.HEADER,
    description="The version of their contracts that the events are checked against; without it, the active one.",
)
_KEY = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "pattern": "^[!-~]{1,128}$"},
    OpenApiParameter.HEADER,
    description="Names the request: sent again under the same key, nothing is stored twice.",
)
_REPLAYED = OpenApiParameter(
    idempotency.REPLAYED,
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200],
    description="All of it was stored before, under the same key.",
)
_STORED = PolymorphicProxySerializer("PublishedOrBatch", [shapes.Published, shapes.Batch], None)
_VALIDATED = PolymorphicProxySerializer("ValidatedOrBatch", [shapes.Validated, shapes.Batch], None)
_REFUSED = [400, 404, 413, 415, 422, 503]


class Publish(ApiView):
    """Publish one event, a JSON array of events, or NDJSON."""

    @described(
        "Publish events",
        name="publish",
        tag="events",
        parameters=[STREAM, _ATOMIC, _KEY, _VERSION, _TRACE, _REPLAYED],
        request=_BODY,
        answers={
            201: OpenApiResponse(shapes.Published, "The event is stored."),
            200: OpenApiResponse(
                _STORED, "All events of the batch are stored, or the one event was stored before, under the same key."
            ),
            207: OpenApiResponse(shapes.Batch, "Some events of the batch are stored; the results say which."),
        },
        problems=_REFUSED,
        examples=[
            *_REQUESTS,
            example(
                "stored",
                {
                    **dict.fromkeys(("id", "entry_id", "message_id"), "1705314600000-0"),
                    "stream": "inference-events",
                    "event_type": "inference-complete",
                    "contract_version": 1,
                },
                status=201,
            ),
        ],
    )
    def post(self, request: Request, stream: str) -> HttpResponse:
        """One event, or a batch: a JSON array, or NDJSON. Each event is checked against the active version of its
        contract, or the one that the request asks for. When no event of a batch was stored, the answer is a problem
        document with the same `results`. With an Idempotency-Key it can be sent again, and nothing is stored twice."""
        asked = to_request(request._request, principal_of(request), stream=stream)
        catalog = holder.current()
        executor = connections.executor_for(catalog.streams.get(stream))
        return to_django(executor.run(pipeline.publish(asked, catalog, connections.tally)))


class Validate(ApiView):
    """Check events as publishing would, and store nothing."""

    @described(
        "Check events without storing them",
        name="validate",
        tag="events",
        parameters=[STREAM, _ATOMIC, _VERSION],
        request=_BODY,
        answers={
            200: OpenApiResponse(_VALIDATED, "The event, or each event of the batch, would be stored."),
            207: OpenApiResponse(shapes.Batch, "Some events of the batch would be stored."),
        },
        problems=[status for status in _REFUSED if status != 503],
        examples=_REQUESTS,
    )
    def post(self, request: Request, stream: str) -> HttpResponse:
        """What publishing would answer to the same body."""
        asked = to_request(request._request, principal_of(request), stream=stream)
        return to_django(connections.executor().run(pipeline.validate(asked, holder.current())))
