"""The first step of publishing CloudEvents: from the body of a request, or its headers and its body, to events.

A request has CloudEvents when its content type says so (structured mode and batches), or when it has headers `ce-…`
(binary mode). Other requests are read by `body.py`.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.attributes import BATCH, HEADER_PREFIX, STRUCTURED, find_fault_of_content
from synapse.cloudevents.incoming import check_repeated_headers, read_binary, read_structured
from synapse.errors.streams import BadEvent, EventTooLarge
from synapse.formats.text import NO_TEXTS
from synapse.http.exchange import Request
from synapse.problems import Problem, UnsupportedMediaType
from synapse.publishing import body as publishing_body
from synapse.publishing.body import ACCEPTED, JSON, MAX_BATCH_BYTES, NDJSON, Body, Item, Slice

_ACCEPTED = {ACCEPTED: f"{JSON}, {NDJSON}"}
_FAMILY = "application/cloudevents"
# The number of CloudEvents that are read without a pause, which takes some tenths of a millisecond.
_AT_ONCE = 50
# The event may be longer than its CloudEvent by the length of its event type.
_TYPE = 200


def is_cloudevent(request: Request) -> bool:
    """Say whether a request has CloudEvents, valid or not."""
    headers = request.headers
    return "ce-specversion" in headers or "ce-id" in headers or _is_of_family(headers.get("content-type", ""))


@lru_cache(maxsize=64)
def _is_of_family(kind: str) -> bool:
    return kind[: len(_FAMILY)].lower() == _FAMILY


def read_events(request: Request, stream: StreamDefinition) -> Body:
    """Return the events of a request to publish: CloudEvents, or other events as `body.read_body` returns them.

    Raises:
        UnsupportedMediaType: when the content is not JSON.
        BadCloudEvent: when a single CloudEvent breaks the specification or cannot be an event. In a batch, the problem
            is the item in place of the event.
        Problem: as `body.read_body`.
    """
    try:
        return (
            _read(request, stream.cloudevents_types) if is_cloudevent(request) else publishing_body.read_body(request)
        )
    except UnsupportedMediaType as problem:
        if ACCEPTED in problem.headers:
            problem.headers[ACCEPTED] += f", {STRUCTURED}, {BATCH}"
        raise


def _read(request: Request, types: Mapping[str, str]) -> Body:
    kind, data = request.headers.get("content-type", ""), request.body
    mode = _mode_of(kind)
    if mode == BATCH:
        return _read_batch(request, types)
    if mode == STRUCTURED:
        value = publishing_body.read_value(data)
        check_repeated_headers(request.headers, value)
        return _body_of(read_structured(value, types), data)
    if data:
        _check_content(kind)
    value = publishing_body.read_value(data) if data else None
    return _body_of(read_binary(request.headers, kind, value, types, has_data=bool(data)), data)


@lru_cache(maxsize=64)
def _mode_of(kind: str) -> str:
    """Return the content type of CloudEvents, given a header Content-Type; "" for all others (binary mode).

    Raises:
        UnsupportedMediaType: for CloudEvents in another format than JSON.
    """
    media_type = kind.partition(";")[0].strip().lower()
    if not media_type.startswith(_FAMILY):
        return ""
    if media_type not in (STRUCTURED, BATCH):
        raise UnsupportedMediaType(
            f"CloudEvents are read as JSON here, and this is “{kind[:100]}”. Send {STRUCTURED} or {BATCH}.",
            headers=_ACCEPTED,
        )
    _check_content(kind)
    return media_type


def _body_of(event: Item, data: bytes) -> Body:
    # Calling the types would take twice as long, for each event.
    events = tuple.__new__(Slice, ((event,), len(data) + _TYPE))
    return tuple.__new__(Body, ((events,), False, NO_TEXTS, True))


def _check_content(kind: str) -> None:
    if not kind:
        raise UnsupportedMediaType(
            "The CloudEvent has data, and the request has no Content-Type: send application/json.",
            headers=_ACCEPTED,
        )
    if fault := find_fault_of_content(kind):
        raise UnsupportedMediaType(
            f"The Content-Type of the CloudEvent is “{kind[:100]}”: it {fault}.", headers=_ACCEPTED
        )


def _read_batch(request: Request, types: Mapping[str, str]) -> Body:
    data = request.body
    if len(data) > MAX_BATCH_BYTES:
        raise EventTooLarge(f"The batch is {len(data)} bytes long; at most {MAX_BATCH_BYTES} are accepted.")
    if not data.lstrip(b" \t\n\r").startswith(b"["):
        raise BadEvent(f"A batch of CloudEvents is a JSON array. Send one CloudEvent with Content-Type {STRUCTURED}.")
    if any(name.startswith(HEADER_PREFIX) for name in request.headers):
        raise BadEvent("A batch has the attributes of its CloudEvents in its body: send it without headers “ce-…”.")
    slices = publishing_body.read_array(data, may_be_empty=True)
    events = _slices_of_batch(slices, types)
    return Body(events if publishing_body.is_large(data) else tuple(events), batch=True, is_keyed=True)


def _slices_of_batch(slices: Iterator[Slice], types: Mapping[str, str]) -> Iterator[Slice]:
    for items, longest in slices:
        if not items:
            yield Slice(())
        for start in range(0, len(items), _AT_ONCE):
            yield Slice([_read_item(item, types) for item in items[start : start + _AT_ONCE]], longest + _TYPE)


def _read_item(item: Item, types: Mapping[str, str]) -> Item:
    if isinstance(item, Problem):
        return item
    try:
        return read_structured(item, types)
    except Problem as problem:
        return problem.with_traceback(None)  # the problem is kept, and with the traceback also the frames
