"""The pull protocol: its bodies as values, `POST /v1/publish` through the publish pipeline, and events in answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import AfterValidator, Field

from synapse.auth.permission import demand_right
from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents.attributes import BATCH
from synapse.cloudevents.outgoing import chosen_form_of_list, cloudevent_of, structured
from synapse.delivery.sink import Delivery
from synapse.endpoints import Body as RequestBody
from synapse.endpoints import Sentence, about
from synapse.errors.delivery import StreamNotOpen
from synapse.formats.text import NAME, RULE, is_name
from synapse.http.exchange import JSON, VARY_ACCEPT, Request, Response, array_response, listing_response
from synapse.inspection.range_query import parse_id
from synapse.problems import BadRequest
from synapse.publishing.body import Body, Slice, read_body
from synapse.publishing.counters import StreamCounters
from synapse.publishing.pipeline import publish_events
from synapse.redis import Conversation
from synapse.wire.encoding import text_fields
from synapse.wire.ids import iso_of, moment_of
from synapse.wire.masking import entry_json

MOST_EVENTS, LONGEST_BLOCK_MS = 100, 30_000
MOST_IDS = 1000
# The defaults of `count` and `block_ms` for requests without them.
EVENTS, BLOCK_MS = 10, 1000
SHORTEST_LEASE_MS, LONGEST_LEASE_MS = 1000, 3_600_000
LONGEST_DELAY_MS = 604_800_000
MOST_CHARACTERS = 200
LONGEST_TTL = 10 * 365 * 86_400
_BESIDE = ("sender", "recipient", "priority", "ttl_sec")
_PATTERN = f"^{NAME.pattern}$"


def _check_name(text: str) -> str:
    if not is_name(text):
        raise ValueError("not a name")
    return text


def _check_short(value: Any) -> Any:
    if isinstance(value, str) and (len(value) > MOST_CHARACTERS or not value.isprintable()):
        raise ValueError("too long, or not printable")
    return value


def _check_entry_id(text: str) -> str:
    found = parse_id(text) if "-" in text else None
    if found is None:
        raise ValueError("not an entry id")
    return str(found.first)


_Text = Annotated[str, Field(min_length=1)]
_SHORT = Sentence(f"“{{name}}” is a text of at most {MOST_CHARACTERS} characters, all of them printable.")
_MOST = Field(json_schema_extra={"maxLength": MOST_CHARACTERS})
_Short = Annotated[str, AfterValidator(_check_short), _SHORT, _MOST]
_EntryId = Annotated[
    str, AfterValidator(_check_entry_id), Field(json_schema_extra={"pattern": "^[0-9]{1,20}-[0-9]{1,20}$"})
]


class _PullBody(RequestBody):
    """A JSON object. Unknown members are ignored, as by the server of the original clients."""

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """Parse the body of a request, within the limits of events."""
        if request.body.lstrip()[:1] == b"[":
            raise BadRequest("The body is one JSON object.")
        body = read_body(request)
        value = None if body.batch else body.items()[0]
        if not isinstance(value, dict):
            raise BadRequest("The body is one JSON object.")
        return cls.validate_values(cls.given_members(value), BadRequest)


class PullPublish(_PullBody):
    """An event to publish, and metadata that is not part of the event."""

    nullable: ClassVar[tuple[str, ...]] = ("payload",)
    stream: _Text
    event_type: _Text = Field(json_schema_extra={"pattern": _PATTERN})
    payload: Any = about("An object is the event's properties; any other value becomes the event's property `payload`.")
    sender: _Short = about("Becomes the event's `source`, unless the payload has a `source`.", default="")
    recipient: _Short = ""
    priority: Annotated[int | str, AfterValidator(_check_short), _SHORT, _MOST] = ""
    ttl_sec: int = Field(0, ge=0, le=LONGEST_TTL)

    @property
    def event(self) -> Mapping[str, Any]:
        """The event to store.

        A payload that is an object becomes the event, with the type and, unless it has one, the sender as its `source`.
        Any other payload becomes the event's property `payload`.
        """
        event = {"event_type": self.event_type, "payload": self.payload}
        if isinstance(self.payload, dict):
            event = {**self.payload, "event_type": self.event_type}
        if self.sender:
            event.setdefault("source", self.sender)
        return event

    @property
    def beside(self) -> Mapping[str, str]:
        """The metadata that is not part of the event, as text."""
        priority = self.priority
        found = {name: str(getattr(self, name) or "") for name in _BESIDE} | {"priority": str(priority)}
        return {name: text for name, text in found.items() if text}


class GroupRef(_PullBody):
    """A group of a stream."""

    stream: _Text
    group: Annotated[str, AfterValidator(_check_name), Sentence(f"“{{name}}” is a name: {RULE}.")] = Field(
        alias="consumer_group", json_schema_extra={"pattern": _PATTERN}
    )


class PullRead(GroupRef):
    """A read of at most `count` events, which waits up to `block_ms` milliseconds for the first."""

    consumer: _Short = Field(alias="consumer_name", min_length=1)
    count: int = Field(EVENTS, ge=1, le=MOST_EVENTS)
    block_ms: int = Field(BLOCK_MS, ge=0, le=LONGEST_BLOCK_MS)


class PullAck(GroupRef):
    """Events to acknowledge."""

    ids: Annotated[
        list[_EntryId],
        AfterValidator(lambda ids: list(dict.fromkeys(ids))),
        Sentence(f"“{{name}}” is a list of 1 to {MOST_IDS} ids of entries, each a text such as 1705314600000-0."),
    ] = Field(alias="entry_ids", min_length=1, max_length=MOST_IDS)


class _Held(PullAck):
    consumer: _Short = Field(
        "", alias="consumer_name", description="Gives back, or extends, only events in flight to this consumer."
    )


class PullNack(_Held):
    """Events to give back, because the consumer could not handle them."""

    reason: str = about("The error to record for this attempt.", default="")
    delay_ms: int | None = about(
        "The delay until the next delivery; without `delay_ms`, the delay of the group's settings.",
        default=None,
        ge=0,
        le=LONGEST_DELAY_MS,
    )
    dead: bool = about("True makes the events dead letters: they are not delivered again.", default=False)


class PullExtend(_Held):
    """Events to keep in flight for longer."""

    lease_ms: int | None = about(
        "The length of the new lease, from now on; without `lease_ms`, the group's lease.",
        default=None,
        ge=SHORTEST_LEASE_MS,
        le=LONGEST_LEASE_MS,
    )


def publish(
    asked: PullPublish, request: Request, catalog: Snapshot, counters: StreamCounters
) -> Conversation[Response]:
    """Store the event of `asked`, and answer 200: the clients of this protocol look for `entry_id`.

    Raises:
        Forbidden: when the caller may not publish to it.
        StreamNotOpen: when no such stream is defined.
        Problem: as for `POST /events/{stream}`.
    """
    demand_right(request.principal, "publish", asked.stream)
    if asked.stream not in catalog.streams:
        raise StreamNotOpen(f"There is no stream “{asked.stream[:100]}” to publish to. GET /streams lists the streams.")
    stored = yield from publish_events(
        request._replace(params={"stream": asked.stream}),
        catalog,
        counters,
        body=Body((Slice((asked.event,)),), batch=False, beside=asked.beside),
    )
    return stored._replace(status=200)


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Return an event as `POST /v1/read` answers it, in the form that clients of the protocol expect.

    `fields` are the fields of the entry as text, whichever program wrote it. Fields of an envelope that the entry lacks
    are added. A `payload` that is the text of a JSON object becomes that object, because clients do not parse it.
    """
    entry = delivery.entry
    row = entry_json(delivery.id, text_fields(delivery.fields), entry)
    fields: dict[str, Any] = dict(row["data"])
    if "payload" not in fields:
        fields["payload"] = row["event"]
    elif (found := _parse_object(fields["payload"])) is not None:
        fields["payload"] = found
    fields.setdefault("event_type", entry.event_type)
    fields.setdefault("sender", entry.source or "")
    fields.setdefault("priority", "normal")
    # An event whose id is beyond the range of a calendar gets no time.
    if time := entry.timestamp or iso_of(moment_of(delivery.id)):
        fields.setdefault("timestamp", time)
    return {
        "stream": delivery.stream,
        "entry_id": delivery.id,
        "fields": fields,
        "event": row["event"],
        "attempt": delivery.attempt,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """The form of an answer to `POST /v1/read`.

    Attributes:
        write: serializes one event.
        respond: returns the response that contains serialized events.
    """

    write: Callable[[Delivery], bytes]
    respond: Callable[[Sequence[bytes]], Response]


_NATIVE = AnswerForm(
    write=lambda delivery: orjson.dumps(delivery_json(delivery)),
    respond=partial(listing_response, {}, "events", headers=VARY_ACCEPT),
)
_AS_BATCH = partial(array_response, content_type=BATCH, headers=VARY_ACCEPT)


def answer_form(request: Request, catalog: Snapshot) -> AnswerForm:
    """Return the form that a reader prefers: events of this protocol, or a batch of CloudEvents."""
    if chosen_form_of_list(request.headers.get("accept", "")) == JSON:
        return _NATIVE
    return AnswerForm(write=partial(encode_cloudevent, catalog), respond=_AS_BATCH)


def encode_cloudevent(catalog: Snapshot, delivery: Delivery) -> bytes:
    """Return an event as a serialized CloudEvent.

    Extension attributes have the entry id, by which readers acknowledge the event, and the number of the attempt.
    """
    event = cloudevent_of(catalog, delivery.stream, delivery.id, delivery.entry)
    attributes = {**event.attributes, "synapseentryid": delivery.id, "synapseattempt": delivery.attempt}
    return structured(event._replace(attributes=attributes), otherwise=text_fields(delivery.fields))


def _parse_object(text: str) -> orjson.Fragment | None:
    """Return a text that is a JSON object as that object, digit for digit. Return None for any other text."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return None
    return orjson.Fragment(text) if is_object else None
