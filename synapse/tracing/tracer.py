"""The tracer, which begins and ends spans, independent of OpenTelemetry."""

import time
from collections.abc import Callable, Mapping
from random import getrandbits
from typing import Any

from synapse.tracing import attributes as names
from synapse.tracing.context import TRACEPARENT, TRACESTATE, TraceContext, read_context
from synapse.tracing.sampler import Sampler
from synapse.tracing.span import Kind, Relation, Span

_FLAG = 1
# RFC 9110, section 9, and RFC 5789; a caller may send any other word.
_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


class Tracer:
    """Begins sampled spans, and passes ended spans on.

    Args:
        sampler: decides before any other work.
        put: takes an ended span, and must not block.
    """

    def __init__(self, sampler: Sampler, put: Callable[[Span], None]) -> None:
        self._sampler = sampler
        self._put = put

    def start_send(self, stream: str, headers: Mapping[str, str]) -> Span | None:
        """Begin the span of publishing to a stream, for a request with these headers; None when it is not traced."""
        parent = headers.get(TRACEPARENT, "")
        if not self._sampler.is_sampled(parent):
            return None
        return self._send(stream, read_context(parent, headers.get(TRACESTATE, "")))

    def refuse(self, parent: str) -> str:
        """Return the `traceparent` to store for a publish that was not sampled.

        If only the limit for callers that request a trace was the reason, the stored flag says “not sampled”. Otherwise
        the deliveries would sample the trace.
        """
        context = read_context(parent) if self._sampler.is_event_sampled(parent) else None
        return parent if context is None else context._replace(flags=context.flags & ~_FLAG).traceparent

    def admit(self, parent: str) -> str:
        """Return the `traceparent` to store for an event in a publish that is not traced."""
        return parent if self._sampler.is_sampled(parent) else self.refuse(parent)

    def start_forward(self, stream: str, cause: Span) -> Span:
        """Begin the span of publishing a delivered event to another stream."""
        return self._send(stream, cause.context)

    def start_process(
        self, stream: str, id_: str, *, group: str, attempt: int, context: TraceContext | None, relation: Relation
    ) -> Span | None:
        """Begin the span of delivering an event to a consumer group; None when it is not traced. `context` comes from
        the event's entry.
        """
        if not self._sampler.is_event_sampled("" if context is None else context.traceparent):
            return None
        described = {
            **_messaging_attributes("process", stream),
            names.CONSUMER_GROUP: group,
            names.MESSAGE_ID: id_,
            names.ATTEMPT: attempt,
        }
        if relation == "parent":
            return self._begin(f"process {stream}", "CONSUMER", context, described)
        span = self._begin(f"process {stream}", "CONSUMER", None, described)
        span.link_to(context)
        return span

    def start_request(self, method: str, headers: Mapping[str, str]) -> Span | None:
        """Begin the span of answering a request in Django; None when it is not traced."""
        parent = headers.get(TRACEPARENT, "")
        if not self._sampler.is_sampled(parent):
            return None
        context = read_context(parent, headers.get(TRACESTATE, ""))
        known = method if method in _METHODS else names.OTHER_METHOD
        return self._begin(known, "SERVER", context, {names.HTTP_METHOD: known})

    def finish(self, span: Span) -> None:
        """End a span, and pass it on."""
        span.end()
        self._put(span)

    def _send(self, stream: str, parent: TraceContext | None) -> Span:
        return self._begin(f"send {stream}", "PRODUCER", parent, _messaging_attributes("send", stream))

    def _begin(self, name: str, kind: Kind, parent: TraceContext | None, described: dict[str, Any]) -> Span:
        # A new trace begins without `tracestate`, which belongs to the caller's trace.
        context = TraceContext(
            trace_id=parent.trace_id if parent else self._sampler.new_trace_id(),
            span_id=f"{getrandbits(64) or 1:016x}",
            flags=_FLAG,
            state=parent.state if parent else "",
        )
        return Span(name, kind, context=context, parent=parent, attributes=described, clock=time.time_ns)


def _messaging_attributes(operation: str, stream: str) -> dict[str, Any]:
    return {
        names.SYSTEM: names.SYNAPSE,
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation,
        names.DESTINATION: stream,
    }
