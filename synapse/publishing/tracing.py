"""The span of a publish: its beginning, with the trace context to store with the events, and its end."""

from collections.abc import Callable, Mapping
from typing import cast

import orjson

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.attributes import TRACING
from synapse.cloudevents.incoming import CloudEvent
from synapse.http.exchange import Request, Response
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import Problem
from synapse.publishing.body import Body
from synapse.publishing.cloudevents import is_cloudevent, read_events
from synapse.redis import Conversation
from synapse.tracing import attributes
from synapse.tracing.context import TRACEPARENT, trace_id_of
from synapse.tracing.span import Span
from synapse.tracing.tracer import Tracer


def begin_span(
    tracer: Tracer, request: Request, stream: StreamDefinition, body: Body | None
) -> tuple[Request, Body | None, Span | None]:
    """Begin the span of a publish. Return the request with the trace context to store with its events, the body if it
    was read, and the span, None when the publish is not traced."""
    sent, body = _read_trace(request, stream, body)
    span = tracer.start_send(stream.name, sent)
    if span is not None:
        # Events are stored with the context of the span, whose parent is the caller's.
        return request._replace(headers={**request.headers, **span.context.headers}), body, span
    if (parent := sent.get(TRACEPARENT)) and (refused := tracer.refuse(parent)) != parent:
        request = request._replace(headers={**request.headers, **sent, TRACEPARENT: refused})
    return request, body, None


def _read_trace(request: Request, stream: StreamDefinition, body: Body | None) -> tuple[Mapping[str, str], Body | None]:
    """Return the headers with the caller's trace, and the body if it was read. A request without these headers that is
    a single CloudEvent has the trace in its attributes."""
    if body is not None or not is_cloudevent(request) or trace_id_of(request.headers):
        return request.headers, body
    try:
        body = read_events(request, stream)
    except Problem:
        return request.headers, None  # the body is read again within the span, and refused there
    if body.batch:
        return request.headers, body
    (((item,), _),) = body.slices
    found = cast(CloudEvent, item).attributes
    return {name: str(value) for name, value in found.items() if name in TRACING}, body


def publish_in_span(
    tracer: Tracer, span: Span, publish: Callable[[], Conversation[Response]]
) -> Conversation[Response]:
    """Publish a traced request, and end its span."""
    try:
        response = yield from publish()
        if attributes.BATCH_COUNT not in span.attributes:
            span.attributes[attributes.MESSAGE_ID] = orjson.loads(response.body)["id"]
        return response
    except FAILURES as failure:
        problem = problem_of(failure)
        problem.trace_id, span.error = span.context.trace_id, problem.slug
        raise problem from None
    except Exception as error:
        span.error = type(error).__name__
        raise
    finally:
        tracer.finish(span)
