"""The publish pipeline: from a request to commands, and from their replies to the response.

Both edges call `publish_events` and `validate_events`, so both behave alike. The body is read in `body.py`, one event
is checked in `validation.py` and, where that takes long, in `deferred_validation.py`, events are stored in
`storage.py`, and the response to a batch is made in `batch_response.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import orjson

from synapse.auth.permission import demand_right
from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.cloudevents.attributes import TRACING
from synapse.cloudevents.incoming import CloudEvent, event_of
from synapse.errors.streams import BadCloudEvent, OutcomeUnknown, UnknownStream
from synapse.formats.text import NO_TEXTS
from synapse.http.exchange import Request, Response, json_response
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import BadParameter, Forbidden, Problem
from synapse.publishing import batch_response, deferred_validation, idempotency, storage, validation
from synapse.publishing import body as publishing_body
from synapse.publishing.body import Body, Item
from synapse.publishing.cloudevents import is_cloudevent, read_events
from synapse.publishing.counters import StreamCounters
from synapse.publishing.deferred_validation import CostlyEvents
from synapse.publishing.refusals import Refusals
from synapse.publishing.storage import Stored, StoreOutcome
from synapse.publishing.validation import Accepted, DeferredCheck, TypeRules
from synapse.redis import MANY, Command, Conversation
from synapse.redis.commands.publishing import IdempotencyKey, append_once_packed_now
from synapse.redis.commands.streams import xadd_packed_now
from synapse.runtime.turn_queue import TURN
from synapse.shares import caller_of
from synapse.tracing import attributes, switch
from synapse.tracing.context import TRACEPARENT, read_context, trace_id_of
from synapse.tracing.span import MOST_LINKS, Span
from synapse.tracing.tracer import Tracer
from synapse.wire import fast_encoder
from synapse.wire.ids import iso_now
from synapse.wire.masking import mask_of_event
from synapse.wire.trace_context import trace_fields

# The approximate number of violations that are listed for a batch: listing takes far longer than finding the first.
MAX_EXPLAINED = 500
# Replaces an event that is encoded and no longer needed. Memory that a batch releases before it waits for Redis is
# still in the processor's cache when the next batch uses it.
_NO_EVENT: Mapping[str, Any] = {}
_WRITTEN, _WRITTEN_UNREGISTERED = (Accepted(_NO_EVENT, "", None, (), registered=known) for known in (True, False))


class BatchOptions(NamedTuple):
    """How a batch differs from one of `POST /events/{stream}`.

    Attributes:
        item_key: returns the idempotency key of one event, given the request, its key, and the index, value and
            contract version of the event.
        respond: returns the response, given the stream, and the outcomes of checking and of storing.
    """

    item_key: Callable[[Request, str | None, int, Any, int | None], IdempotencyKey] = idempotency.of_item
    respond: Callable[
        [StreamDefinition, Sequence[Accepted | Problem], Sequence[StoreOutcome | None]], Conversation[Response]
    ] = batch_response.answer


def publish_events(
    request: Request,
    catalog: Snapshot,
    counters: StreamCounters,
    *,
    body: Body | None = None,
    key: str | None = None,
    batch: BatchOptions = BatchOptions(),  # noqa: B008 - immutable
) -> Conversation[Response]:
    """Store the events of `POST /events/{stream}`.

    The response to one event is 201 with its id; to a batch 200 when all events were stored, 207 when some were, with a
    result for each. It is 200 with the header Idempotency-Replayed when the events were stored earlier under the same
    Idempotency-Key.

    Args:
        body: the body of the request, if it was read before.
        key: the Idempotency-Key of a request that has no such header.

    Raises:
        Problem, RedisFailure: in all other cases, each with its own status (see synapse.errors.streams).
    """
    begun = time.perf_counter()
    stream, span = _stream(request, catalog, counters), None
    if (tracer := switch.tracer) is not None:
        request, body, span = _begin_span(tracer, request, stream, body)
    if tracer is None or span is None:
        response = yield from _publish(stream, request, counters, body=body, key=key, batch=batch, span=span)
    else:
        publish = partial(_publish, stream, request, counters, body=body, key=key, batch=batch, span=span)
        response = yield from _publish_in_span(tracer, span, publish)
    counters.observe(stream.name, "publish", time.perf_counter() - begun)
    return response


def _publish(
    stream: StreamDefinition,
    request: Request,
    counters: StreamCounters,
    *,
    body: Body | None,
    key: str | None,
    batch: BatchOptions,
    span: Span | None,
) -> Conversation[Response]:
    """Read the body, and return the conversation with Redis that stores its events."""
    try:
        version = publishing_body.contract_version(request)
        body = body or read_events(request, stream)
        key = idempotency.key_of(request, stream, is_keyed=body.is_keyed) if key is None else key
        together = body.batch and _is_true(request, "atomic")
    except Problem as problem:
        counters.note_refused(stream, problem, request.principal, size=len(request.body))
        raise
    if not body.batch:
        return _publish_one(stream, body, request, counters, version=version, key=key)
    return _publish_batch(
        stream, body, request, counters, version=version, key=key, together=together, options=batch, span=span
    )


def _begin_span(
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


def _publish_in_span(
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


def _publish_one(
    stream: StreamDefinition,
    body: Body,
    request: Request,
    counters: StreamCounters,
    *,
    version: int | None,
    key: str | None,
) -> Conversation[Response]:
    (((item,), length),) = body.slices
    event, is_keyed = event_of(item), key is not None or body.is_keyed
    try:
        found = validation.check(stream, event, version=version, by=request.principal, length=length)
        if isinstance(found, Accepted):
            accepted = found
        else:
            accepted = yield from deferred_validation.decide(stream, found, caller_of(request.principal))
    except Problem as problem:
        counters.note_refused(stream, problem, request.principal, event=event, size=len(request.body))
        raise
    write = _Writer(stream, request, counters, body.beside, is_direct=storage.is_direct(stream, keyed=is_keyed))
    try:
        write.add(accepted, item, idempotency.of_one(request, key, item, version) if is_keyed else None)
        store_outcomes = yield from write.store()
    except FAILURES as failure:
        _count_unstored(counters, stream, [problem_of(failure)], request.principal)
        raise
    # A single event is never left out because of another one.
    (stored,) = cast(Sequence[StoreOutcome], store_outcomes)
    _count(counters, stream, [accepted], store_outcomes, write)
    if isinstance(stored, Problem):
        raise stored
    if stored.doubt is not None:
        raise stored.doubt
    answer = {"id": stored.id, "entry_id": stored.id, "message_id": stored.id, **_describe(stream, accepted)}
    if stored.repeated:
        return json_response(answer, headers={idempotency.REPLAYED: "true"})
    return json_response(answer, status=201)


def _publish_batch(
    stream: StreamDefinition,
    body: Body,
    request: Request,
    counters: StreamCounters,
    *,
    version: int | None,
    key: str | None,
    together: bool,
    options: BatchOptions,
    span: Span | None,
) -> Conversation[Response]:
    is_keyed = key is not None or body.is_keyed
    # Events with keys that are stored together need one script for all.
    is_direct = storage.is_direct(stream, keyed=is_keyed) and not (is_keyed and together)
    write = _Writer(stream, request, counters, is_direct=is_direct, span=span)

    def write_one(accepted: Accepted, index: int, item: Any) -> None:
        write.add(accepted, item, options.item_key(request, key, index, item, version) if is_keyed else None)

    try:
        # Each event is encoded and released as soon as it is checked: the values of a batch take many times
        # the memory of their text.
        checks = _Checks(stream, version, request.principal, write_one, counters.refusals)
        outcomes = yield from checks.run(body)
    except Problem as problem:
        counters.note_refused(stream, problem, request.principal, size=len(request.body))
        raise
    if len(outcomes) > MANY:
        yield ()  # each loop over all events takes some milliseconds
    good = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    if span is not None:
        span.attributes[attributes.BATCH_COUNT] = len(good)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    # Their refusals were recorded when they were checked.
    _count_unstored(counters, stream, refused, None)
    store_outcomes: Sequence[StoreOutcome | None] = [None] * len(good)
    if good and not (together and refused):
        if together and key is not None:
            write.keys = [idempotency.of_all(request, key, write.keys)]
        try:
            store_outcomes = yield from write.store(together=together, all_keyed=is_keyed and key is None)
        except FAILURES as failure:
            _count_unstored(counters, stream, [problem_of(failure)] * len(good), request.principal)
            raise
    if len(outcomes) > MANY:
        yield ()
    _count(counters, stream, good, store_outcomes, write)
    return (yield from options.respond(stream, outcomes, store_outcomes))


def validate_events(
    request: Request,
    catalog: Snapshot,
    *,
    body: Body | None = None,
    batch: BatchOptions = BatchOptions(),  # noqa: B008 - immutable
) -> Conversation[Response]:
    """Answer `POST /events/{stream}/validate`: the response of `publish_events` to the same body; nothing is stored.

    Raises:
        Problem: as `publish_events` does, except for refusals by Redis. An Idempotency-Key is ignored.
    """
    stream = _stream(request, catalog)
    version = publishing_body.contract_version(request)
    body = body or read_events(request, stream)
    outcomes = yield from _Checks(stream, version, request.principal).run(body)
    if body.batch:
        together = _is_true(request, "atomic") and any(isinstance(outcome, Problem) for outcome in outcomes)
        good = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
        store_outcomes = [None if together else Stored(id="") for _ in good]
        return (yield from batch.respond(stream, outcomes, store_outcomes))
    if isinstance(outcomes[0], Problem):
        raise outcomes[0]
    return json_response({"valid": True, **_describe(stream, outcomes[0])})


def _stream(request: Request, catalog: Snapshot, counters: StreamCounters | None = None) -> StreamDefinition:
    name = request.params["stream"]
    stream = catalog.streams.get(name)
    try:
        demand_right(request.principal, "publish", name)
    except Forbidden as problem:
        if counters is not None and stream is not None:
            counters.refusals.note(stream, problem, request.principal)
        raise
    if stream is None:
        raise UnknownStream(name)
    return stream


class _Checks:
    """Checks the events of one request in their order. Accepted events are passed to `also` with their index and value,
    and then only what the response needs of them is kept. Refused events are recorded in `refusals`."""

    def __init__(
        self,
        stream: StreamDefinition,
        version: int | None,
        by: Principal,
        also: Callable[[Accepted, int, Any], None] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._stream = stream
        self._version = version
        self._by = by
        self._also = also
        self._refusals = refusals
        self._explained = 0
        # The outcome of each event; None for an event that is still to be validated.
        self._outcomes: list[Accepted | Problem | None] = []

    def run(self, body: Body) -> Conversation[list[Accepted | Problem]]:
        """Return the result of the checks for each event."""
        stream, version, by = self._stream, self._version, self._by
        outcomes: list[Any] = self._outcomes
        rulings: dict[str, TypeRules] = {}
        # A local variable: as an attribute it would make a reference cycle, which keeps all entries until a garbage
        # collection.
        costly = CostlyEvents(stream, caller_of(by), self._note_late)
        if body.is_large:
            yield ()  # many large batches may arrive at once
        until = time.monotonic() + TURN
        for items, length in body.slices:
            # Reading the slice may have taken long.
            if time.monotonic() > until:
                yield ()
                until = time.monotonic() + TURN
            for item in items:
                found: Item | DeferredCheck = item
                if not isinstance(item, Problem):
                    try:
                        event = item.event if type(item) is CloudEvent else item
                        found = validation.check(stream, event, version=version, by=by, rulings=rulings, length=length)
                        if isinstance(found, DeferredCheck):
                            found = costly.try_here(found, explain=self._explained < MAX_EXPLAINED)
                    except Problem as problem:
                        # Without its traceback: the problem is kept, and its traceback would keep the frames, which
                        # keep the problem.
                        found = problem.with_traceback(None)
                if isinstance(found, DeferredCheck) or (costly.waiting and isinstance(found, Accepted)):
                    costly.add(len(outcomes), item, found)
                    outcomes.append(None)
                    if costly.is_full:
                        yield from costly.check_waiting()
                else:
                    outcomes.append(self._note(len(outcomes), item, found))
                if time.monotonic() > until:
                    yield ()
                    until = time.monotonic() + TURN
        yield from costly.check_waiting()
        return outcomes

    def _note(self, place: int, item: Any, outcome: Accepted | Problem) -> Accepted | Problem:
        if isinstance(outcome, Problem):
            if self._refusals is not None:
                event = None if isinstance(item, Problem) else event_of(item)
                self._refusals.note(self._stream, outcome, self._by, event=event)
            if isinstance(outcome, BadCloudEvent) and self._explained >= MAX_EXPLAINED:
                # The detail of the problem names the first violations.
                outcome.members["violations"] = []
            self._explained += len(outcome.members.get("violations", ()))
            return outcome
        warnings = outcome.warnings
        if warnings:
            self._explained += len(warnings)
        if self._also is None:
            return outcome
        self._also(outcome, place, item)
        if warnings:
            return outcome._replace(event=_NO_EVENT)
        return _WRITTEN if outcome.registered else _WRITTEN_UNREGISTERED

    def _note_late(self, place: int, item: Any, outcome: Accepted | Problem) -> bool:
        self._outcomes[place] = self._note(place, item, outcome)
        return self._explained < MAX_EXPLAINED


class _Writer:
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
        self._last_source: Any = _NO_EVENT
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


def _describe(stream: StreamDefinition, accepted: Accepted) -> dict[str, Any]:
    described: dict[str, Any] = {
        "stream": stream.name,
        "event_type": accepted.event_type,
        "contract_version": accepted.contract_version,
    }
    if accepted.warnings:
        described["warnings"] = [violation.as_dict() for violation in accepted.warnings]
    return described


def _count(
    counters: StreamCounters,
    stream: StreamDefinition,
    good: Sequence[Accepted],
    store_outcomes: Sequence[StoreOutcome | None],
    write: _Writer,
) -> None:
    """Count the stored events, also those that are not durable yet, and the unstored ones. Duplicates are counted by
    the script that finds them."""
    published = warned = unregistered = 0
    last = ""
    for accepted, store_outcome in zip(good, store_outcomes, strict=True):
        if isinstance(store_outcome, Stored) and not store_outcome.repeated:
            published += 1
            last = store_outcome.id
            if accepted.warnings:
                warned += 1
            if not accepted.registered:
                unregistered += 1
    if published < len(good):
        _count_unstored(
            counters,
            stream,
            [store_outcome for store_outcome in store_outcomes if isinstance(store_outcome, Problem)],
            write.by,
        )
    if not published:
        return
    counters.add(stream.name, "published", published)
    if write.sources:
        counters.note_sources(stream.name, write.sources, last)
    if warned:
        counters.add(stream.name, "warned", warned)
    if unregistered:
        counters.add(stream.name, "unregistered", unregistered)


def _count_unstored(
    counters: StreamCounters, stream: StreamDefinition, problems: Sequence[Problem], by: Principal | None
) -> None:
    """Count events that were not stored, by reason, without those that Redis may have stored. Record them as refusals
    of the publisher `by`; None when they are recorded already."""
    kinds: Counter[type[Problem]] = Counter(type(each) for each in problems)
    for kind, times in kinds.items():
        if issubclass(kind, OutcomeUnknown):
            continue
        if by is None:
            counters.refuse(stream.name, kind.slug, times)
        else:
            counters.note_refused(stream, next(each for each in problems if type(each) is kind), by, times=times)


def _is_true(request: Request, parameter: str) -> bool:
    text = request.query.get(parameter, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise BadParameter(f"“{parameter}” is true or false.", parameter=parameter)
    return text in ("true", "1")
