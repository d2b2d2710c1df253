"""Streams, their messages and their groups."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework.fields import BooleanField, CharField, ChoiceField, DictField, FloatField, IntegerField, JSONField

from streams.api.shapes.base import Shape

_REASONS = "The refused events by the last part of the problem's type, such as `stream-full`."
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


@extend_schema_field(
    {
        "type": ["array", "null"],
        "prefixItems": [{"type": "string"}, _TEXTS],
        "minItems": 2,
        "maxItems": 2,
        "description": "The id of an entry and its fields as text; null when there is none.",
    }
)
class EntryPair(JSONField):
    """An entry as a pair."""


@extend_schema_field(_TEXTS)
class Texts(JSONField):
    """An entry's fields."""


class Ticket(Shape):
    """A ticket for watching a stream live."""

    ticket = CharField(help_text="What goes into the address, as `?ticket=…`.")
    expires_in = IntegerField(help_text="Seconds.")
    stream = CharField()


class EventType(Shape):
    """An event type of a stream."""

    name = CharField()
    contract = CharField(allow_null=True, help_text="The subject of its contract.")
    contract_version = IntegerField(allow_null=True, help_text="The version that events are checked against.")


class Counters(Shape):
    """What Synapse counted since the stream was defined."""

    published = IntegerField()
    refused = IntegerField()
    warned = IntegerField()
    unregistered = IntegerField()
    duplicates = IntegerField()


class RefusedByReason(DictField):
    """How many events were refused for what."""

    child = IntegerField()


class Definition(Shape):
    """A stream's definition."""

    name = CharField()
    purpose = CharField()
    layout = CharField(help_text="flat or dual.")
    enforcement = CharField(help_text="enforce, warn or off.")
    unknown_event_types = CharField(help_text="accept or reject.")
    max_length = IntegerField()
    max_age = FloatField(allow_null=True, help_text="Seconds.")
    hard_length = IntegerField()
    when_full = CharField(help_text="drop_oldest or reject.")
    idempotency_window = FloatField(help_text="Seconds that an Idempotency-Key is remembered.")
    idempotency_key = CharField(help_text="optional or required.")
    durability = CharField(help_text="server, local or replicated.")
    replicas = IntegerField(help_text="How many replicas must have an event, where durability is replicated.")
    event_types = EventType(many=True)
    counters = Counters()
    refused_by_reason = RefusedByReason(help_text=_REASONS)


class Figures(Shape):
    """What Redis says of a stream."""

    name = CharField()
    length = IntegerField(help_text="How many entries the stream holds.")
    groups = IntegerField(help_text="How many consumer groups it has.")
    first_entry = EntryPair()
    last_entry = EntryPair()
    counters = Counters(help_text="What Synapse counted on it.")
    refused_by_reason = RefusedByReason(help_text=_REASONS)
    error = CharField(required=False, help_text="Why Redis could not tell of this stream.")


class Stream(Figures, Definition):
    """A stream's definition and figures."""


class Streams(Shape):
    """All streams, by name."""

    streams = Stream(many=True)


_INFO = ("radix-tree-keys", "radix-tree-nodes", "entries-added")
_INFO_IDS = ("last-generated-id", "max-deleted-entry-id", "recorded-first-entry-id")


class Info(Shape):
    """XINFO STREAM by Redis' own names, and what Synapse knows."""

    length = IntegerField()
    groups = IntegerField()
    synapse = Definition()

    def get_fields(self) -> dict[str, Any]:
        numbers = {name: IntegerField() for name in _INFO}
        ids = {name: CharField() for name in _INFO_IDS}
        ends = {name: EntryPair() for name in ("first-entry", "last-entry")}
        return {**super().get_fields(), **numbers, **ids, **ends}


class Message(Shape):
    """An entry of a stream, and the event that it means."""

    id = CharField()
    data = Texts(help_text="The entry's fields, as they lie in Redis.")  # type: ignore[assignment]
    event = DictField(help_text="The event that the entry means.")
    event_type = CharField(allow_null=True)
    timestamp = CharField(allow_null=True)
    source = CharField(allow_null=True)  # type: ignore[assignment]
    contract_version = IntegerField(allow_null=True)
    layout = CharField(help_text="flat or dual (written by Synapse), envelope or foreign (by other programs).")


class OneMessage(Message):
    """An entry of a stream, and the event that it means."""

    stream = CharField()


class Messages(Shape):
    """A page of messages."""

    stream = CharField()
    messages = Message(many=True)
    order = CharField(help_text="newest or oldest first.")
    next = CharField(
        allow_null=True, help_text="The value of `before` (newest first) or `after` (oldest first) for the next page."
    )
    scanned = IntegerField(help_text="How many entries were looked at.")
    complete = BooleanField(help_text="False when the page ended early because enough had been looked at.")


class Member(Shape):
    """A consumer of a group."""

    name = CharField()
    pending = IntegerField()
    idle_seconds = FloatField()


class Owner(Shape):
    """What a group belongs to."""

    kind = ChoiceField(["bridge", "pull"], help_text="bridge: one brings its events; pull: programs fetch them.")
    name = CharField(help_text="The bridge's name.")
    enabled = BooleanField()
    paused = BooleanField()


class Group(Shape):
    """A consumer group, what it is owed, and how far behind it is."""

    name = CharField()
    belongs_to = Owner(allow_null=True, help_text="Null: another program's, nobody's here.")
    consumers = IntegerField()
    last_delivered_id = CharField()
    lag = IntegerField(help_text="Events that the group has not read yet.")
    lag_exact = BooleanField(help_text="False when there are more: the counting stopped.")
    lag_seconds = FloatField(help_text="Age of the oldest of them.")
    pending = IntegerField(help_text="Read, and in a consumer's hand.")
    waiting = IntegerField(help_text="Will be delivered again, or are being.")
    parked = IntegerField(help_text="Wait behind another event of their key.")
    dead = IntegerField(help_text="Dead letters.")
    oldest_seconds = FloatField(help_text="Age of the oldest event that is unread, pending or waiting; 0: none is.")
    oldest_exact = BooleanField(help_text="False when more than 1,000 wait: only the first of them were looked at.")
    lost_trimmed = IntegerField(help_text="Events that were gone from the stream before the group had settled them.")
    lost_silent = IntegerField(help_text="Events that were trimmed while the group was silent for too long.")
    skipped = IntegerField(help_text="Events that somebody moved the group past.")
    members = Member(many=True)


class Groups(Shape):
    """The consumer groups of a stream."""

    stream = CharField()
    groups = Group(many=True)
