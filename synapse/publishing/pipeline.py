"""The publish pipeline: from a request to commands, and from their replies to the response.

Both edges call `publish_events` and `validate_events`, so both behave alike. The body is read in `body.py` or
`cloudevents.py`. `checks.py` checks the events in turns, each by `validation.py` and, where that takes long, by
`deferred_validation.py`. `writer.py` encodes and stores them by `storage.py`, and the response to a batch is made in
`batch_response.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from synapse.auth.permission import demand_right
from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.cloudevents.incoming import event_of
from synapse.errors.streams import OutcomeUnknown, UnknownStream
from synapse.http.exchange import Request, Response, json_response
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import BadParameter, Forbidden, Problem
from synapse.publishing import batch_response, deferred_validation, idempotency, storage, tracing, validation
from synapse.publishing import body as publishing_body
from synapse.publishing.body import Body
from synapse.publishing.checks import EventChecks
from synapse.publishing.cloudevents import read_events
from synapse.publishing.counters import StreamCounters
from synapse.publishing.storage import Stored, StoreOutcome
from synapse.publishing.validation import Accepted
from synapse.publishing.writer import EventWriter
from synapse.redis import MANY, Conversation
from synapse.redis.commands.publishing import IdempotencyKey
from synapse.shares import caller_of
from synapse.tracing import attributes, switch
from synapse.tracing.span import Span


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
        request, body, span = tracing.begin_span(tracer, request, stream, body)
    if tracer is None or span is None:
        response = yield from _publish(stream, request, counters, body=body, key=key, batch=batch, span=span)
    else:
        publish = partial(_publish, stream, request, counters, body=body, key=key, batch=batch, span=span)
        response = yield from tracing.publish_in_span(tracer, span, publish)
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
    write = EventWriter(stream, request, counters, body.beside, is_direct=storage.is_direct(stream, keyed=is_keyed))
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
    write = EventWriter(stream, request, counters, is_direct=is_direct, span=span)

    def write_one(accepted: Accepted, index: int, item: Any) -> None:
        write.add(accepted, item, options.item_key(request, key, index, item, version) if is_keyed else None)

    try:
        # Each event is encoded and released as soon as it is checked: the values of a batch take many times
        # the memory of their text.
        checks = EventChecks(stream, version, request.principal, write_one, counters.refusals)
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
    outcomes = yield from EventChecks(stream, version, request.principal).run(body)
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
    write: EventWriter,
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
