"""The writer encodes the accepted events of one request, and stores them."""

from collections.abc import Mapping, Sequence
from typing import Any

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.incoming import CloudEvent
from synapse.formats.text import NO_TEXTS
from synapse.http.exchange import Request
from synapse.publishing import storage, validation
from synapse.publishing.counters import StreamCounters
from synapse.publishing.storage import StoreOutcome
from synapse.publishing.validation import Accepted
from synapse.redis import Command, Conversation
from synapse.redis.commands.publishing import IdempotencyKey, append_once_packed_now
from synapse.redis.commands.streams import xadd_packed_now
from synapse.tracing import switch
from synapse.tracing.context import TRACEPARENT, read_context
from synapse.tracing.span import MOST_LINKS, Span
from synapse.wire import fast_encoder
from synapse.wire.ids import iso_now
from synapse.wire.masking import mask_of_event
from synapse.wire.trace_context import trace_fields

# Differs from each source of an event.
_NO_SOURCE = object()


class EventWriter:
    """Encodes the accepted events of one request, as entries, or as commands when one command stores an event
    (`is_direct`), and stores them.

    Attributes:
        keys: the idempotency keys of the entries.
        sources: the sources that are not recorded yet, each with the form that is shown to people.
    """

    def __init__(
        self,
        stream: StreamDefinition,
        request: Request,
        counters: StreamCounters,
        beside: Mapping[str, str] = NO_TEXTS,
        *,
        is_direct: bool,
        span: Span | None = None,
    ) -> None:
        self._stream = stream
        self._is_direct = is_direct
        # When the caller sends no trace, the CloudEvents of a batch may have traces, to which the span is linked.
        self._linked = span if span is not None and span.parent is None else None
        self._counters = counters
        self.by = request.principal
        self.sources: dict[str, str] = {}
        # The source of the previous event: most events of a batch have the same.
        self._last_source: Any = _NO_SOURCE
        self._source = request.principal.name
        headers = request.headers
        if "traceparent" in headers:
            trace = trace_fields(headers["traceparent"], headers.get("tracestate", ""))
            beside = {**trace, **beside} if beside else trace
        self._beside = beside
        self._commands: list[Command] = []
        self._entries: list[list[str]] = []
        self.keys: list[IdempotencyKey] = []
        self._has_forms = stream.layout == "flat"

    def add(self, accepted: Accepted, item: Any, key: IdempotencyKey | None) -> None:
        """Encode an event, given as it was sent (`item`), with its idempotency key if it has one."""
        # Called once for each event, because each call counts for the limit on traces that callers may request.
        source, beside = (self._source, self._beside) if type(item) is not CloudEvent else self._fields_beside(item)
        if self._is_direct:
            self._commands.append(self._append(accepted, item, key, source, beside))
        else:
            self._entries.append(self._entry(accepted, item, source, beside))
            if key is not None:
                self.keys.append(key)

    def store(self, *, together: bool = False, all_keyed: bool = False) -> Conversation[Sequence[StoreOutcome | None]]:
        """Store the encoded events like `storage.store`."""
        if self._is_direct:
            return storage.append(self._stream, self._commands, together=together)
        return storage.store(self._stream, self._entries, together=together, keys=self.keys, all_keyed=all_keyed)

    def _append(
        self, accepted: Accepted, item: Any, key: IdempotencyKey | None, source: str, beside: Mapping[str, str]
    ) -> Command:
        once = None if key is None else storage.once(self._stream, key)
        found = None
        if self._has_forms:
            event, _, version, _, _ = accepted
            timestamp = _time_of(item) if event.get("timestamp") is None else ""
            found = fast_encoder.append(
                self._stream.name, event, timestamp, source, version or 0, beside=beside, once=once
            )
        if found is None:
            name, entry = self._stream.name, self._entry(accepted, item, source, beside)
            return xadd_packed_now(name, entry) if once is None else append_once_packed_now(name, entry, once)
        if event.get("source") != self._last_source or not source:
            self._note_source(accepted, item)
        return found

    def _entry(self, accepted: Accepted, item: Any, source: str, beside: Mapping[str, str]) -> list[str]:
        self._note_source(accepted, item)
        return validation.encode(self._stream, accepted, now=lambda: _time_of(item), source=source, beside=beside)

    def _fields_beside(self, item: CloudEvent) -> tuple[str, Mapping[str, str]]:
        """Return the source of a CloudEvent as an event (none), and the fields beside it, which contain its
        `source`."""
        trace = self._beside
        if not trace:
            trace = _own_trace(item)
        elif self._linked is not None and (own := _own_trace(item)):
            trace = own
            if len(self._linked.links) < MOST_LINKS:
                # Without `tracestate`, which would triple the size of a link.
                self._linked.link_to(read_context(own[TRACEPARENT]))
        return "", {**trace, **item.fields()} if trace else item.fields()

    def _note_source(self, accepted: Accepted, item: Any) -> None:
        source = self._last_source = accepted.event.get("source")
        if type(source) is not str or not source:
            source = item.source if type(item) is CloudEvent else self._source
        # Recorded once between two flushes, because this runs for each event.
        if (self._stream.name, source) not in self._counters.noted and source not in self.sources:
            self.sources[source] = self._mask_source(source, accepted)

    def _mask_source(self, source: str, accepted: Accepted) -> str:
        """Return the source with the values redacted that the contracts of the stream mark as PII."""
        if not self._stream.marks:
            return source
        mask = mask_of_event(self._stream, accepted.event, accepted.event_type)
        return source if mask is None else mask.text(source, accepted.event)


def _own_trace(item: CloudEvent) -> Mapping[str, str]:
    trace, tracer = item.trace(), switch.tracer
    return trace if not trace or tracer is None else {**trace, TRACEPARENT: tracer.admit(trace[TRACEPARENT])}


def _time_of(item: Any) -> str:
    """Return the timestamp for an event without one: the `time` of its CloudEvent, or now."""
    return (type(item) is CloudEvent and item.time) or iso_now()
