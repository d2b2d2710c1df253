"""Endpoints that publish and validate events. `synapse.publishing` reads the bodies, because its speed is measured."""

from functools import partial
from typing import Any

from streams import connections
from streams.connections import LARGE_BATCHES
from synapse.auth.permission import Requirement
from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents.attributes import BATCH, STRUCTURED
from synapse.endpoints import EVENT, Answer, EventLoop, Example, Meaning, Violation, about, endpoint, maybe, union_model
from synapse.endpoints.openapi import PUBLISHED_CLOUDEVENT
from synapse.http.exchange import Request, Response
from synapse.publishing import idempotency, pipeline
from synapse.publishing.body import CONTRACT_VERSION, JSON, MAX_EVENT_BYTES, NDJSON
from synapse.redis import Conversation


class Published(Answer):
    """An event that is stored."""

    id: str
    entry_id: str = about("The id again, as other clients name it.")
    message_id: str = about("The id again, as other clients name it.")
    stream: str
    event_type: str
    contract_version: int | None = about("Null when the event was checked against no contract.")
    warnings: list[Violation] = maybe("On a stream that only warns.")


class ItemError(Answer):
    """An error in an event of a batch."""

    type: str
    message: str
    pointer: str = maybe()
    keyword: str = maybe()
    schema_pointer: str = maybe()
    id: str = maybe("The id of an event that may be stored nevertheless.")


class ItemResult(Answer):
    """Result of one event of a batch."""

    index: int
    id: str | None
    status: str = about("accepted, rejected, or aborted: good itself, but not stored.")
    errors: list[ItemError]
    replayed: bool = maybe("True when it was stored before, under the same key.")
    warnings: list[Violation] = maybe()


class Batch(Answer):
    """Result of a batch."""

    stream: str
    accepted: int
    rejected: int
    aborted: int
    results: list[ItemResult]


class Validated(Answer):
    """An event that would be stored."""

    valid: bool
    stream: str
    event_type: str
    contract_version: int | None
    warnings: list[Violation] = maybe()


PublishedOrBatch = union_model(Published, Batch, name="PublishedOrBatch")
ValidatedOrBatch = union_model(Validated, Batch, name="ValidatedOrBatch")

_BODY: dict[str, Any] = {
    JSON: {"oneOf": [EVENT, {"type": "array", "items": EVENT, "minItems": 1, "maxItems": 10_000}]},
    NDJSON: {"type": "string", "description": "One event a line."},
    STRUCTURED: PUBLISHED_CLOUDEVENT,
    BATCH: {"type": "array", "items": PUBLISHED_CLOUDEVENT, "maxItems": 10_000},
}
_EVENT = {
    "event_type": "inference-complete",
    "request_id": "req_123",
    "model_name": "task-classifier-v2",
    "latency_ms": 45,
    "confidence": 0.92,
}
_EXAMPLES = [
    Example("one event", _EVENT),
    Example("a batch", [_EVENT, {**_EVENT, "request_id": "req_124"}]),
    Example("a batch in lines", '{"event_type":"model-loaded","model_name":"m"}\n', media_type=NDJSON),
]
_STORED = {
    **dict.fromkeys(("id", "entry_id", "message_id"), "1705314600000-0"),
    "stream": "inference-events",
    "event_type": "inference-complete",
    "contract_version": 1,
}


def _header_parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"in": "header", "name": name, "schema": schema, "description": description}


_ATOMIC = {
    "in": "query",
    "name": "atomic",
    "schema": {"type": "boolean", "default": False},
    "description": "Store all events of a batch or none.",
}
_VERSION = _header_parameter(
    CONTRACT_VERSION,
    "The version of their contracts that the events are checked against; without it, the active one.",
    type="integer",
    minimum=1,
)
KEY = _header_parameter(
    idempotency.HEADER,
    "Names the request: sent again under the same key, nothing is stored twice.",
    type="string",
    pattern="^[!-~]{1,128}$",
)
_BINARY = [
    _header_parameter(
        f"ce-{name}",
        "An attribute of a CloudEvent in binary mode.",
        type="string",
    )
    for name in ("specversion", "id", "source", "type", "time", "subject", "dataschema")
]
_TRACE = _header_parameter("traceparent", "W3C Trace Context; kept with the event.", type="string")
_REPLAYED = {
    idempotency.REPLAYED: {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "All of it was stored before, under the same key.",
    }
}
_REFUSED = [400, 404, 413, 415, 422]


def large_batch(request: Request) -> int:
    """Return the size of a large batch in bytes, 0 for any other body."""
    return len(request.body) if len(request.body) > MAX_EVENT_BYTES else 0


_LOOP = EventLoop(queue=LARGE_BATCHES, size=large_batch)


_events = partial(
    endpoint,
    tag="events",
    requires=Requirement(publish=True, is_checked_later=True),
    takes_request=True,
    on_event_loop=_LOOP,
    documented_body=_BODY,
)


@_events(
    "POST",
    "/events/{stream}",
    "Publish events",
    {
        201: Meaning(Published, "The event is stored."),
        200: Meaning(
            PublishedOrBatch,
            "All events of the batch are stored, or the one event was stored before, under the same key.",
            _REPLAYED,
        ),
        207: Meaning(Batch, "Some events of the batch are stored; the results say which."),
    },
    problems=[*_REFUSED, 409, 503],
    stores=lambda request: request.params["stream"],
    parameters=[_ATOMIC, KEY, _VERSION, _TRACE, *_BINARY],
    examples=[*_EXAMPLES, Example("stored", _STORED, 201)],
)
def publish(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """One event, or a batch: a JSON array, or NDJSON; or CloudEvents in structured, batched or binary mode. Each event
    is checked against the active version of its contract, or the one that the request asks for. When no event of a
    batch was stored, the answer is a problem document with the same `results`. With an Idempotency-Key, or a
    CloudEvent's source and id, a repeated request stores nothing twice."""
    return pipeline.publish_events(request, catalog, connections.counters)


@_events(
    "POST",
    "/events/{stream}/validate",
    "Check events without storing them",
    {
        200: Meaning(ValidatedOrBatch, "The event, or each event of the batch, would be stored."),
        207: Meaning(Batch, "Some events of the batch would be stored."),
    },
    problems=_REFUSED,
    parameters=[_ATOMIC, _VERSION, *_BINARY],
    examples=_EXAMPLES[:1],
)
def validate(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answers as publishing the same body would."""
    return pipeline.validate_events(request, catalog)
