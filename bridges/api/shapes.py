"""OpenAPI shapes of requests and answers of the pull protocol and of consumer groups."""

from typing import Any

from rest_framework.fields import BooleanField, CharField, DictField, IntegerField, JSONField, ListField

from streams.api.shapes.base import Shape
from synapse.pull.requests import (
    BLOCK_MS,
    EVENTS,
    LONGEST_BLOCK_MS,
    LONGEST_DELAY_MS,
    LONGEST_LEASE_MS,
    LONGEST_TTL,
    MOST_CHARACTERS,
    MOST_EVENTS,
    MOST_IDS,
    SHORTEST_LEASE_MS,
)

_NAME = r"^[A-Za-z0-9._:-]{1,100}$"
_ENTRY_ID = {"type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,20}$"}
_PLACE: dict[str, Any] = {
    "stream": {"type": "string"},
    "consumer_group": {"type": "string", "pattern": _NAME},
}
_CONSUMER = {"type": "string", "maxLength": MOST_CHARACTERS}
_IDS: dict[str, Any] = {
    **_PLACE,
    "entry_ids": {"type": "array", "items": _ENTRY_ID, "minItems": 1, "maxItems": MOST_IDS},
}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


PUBLISH = _object(
    {
        "stream": {"type": "string"},
        "event_type": {"type": "string", "pattern": _NAME},
        "payload": {"description": "An object holds the event's properties; anything else becomes its `payload`."},
        "sender": {**_CONSUMER, "description": "The event's `source`, unless the payload has one."},
        "recipient": _CONSUMER,
        "priority": {"oneOf": [_CONSUMER, {"type": "integer"}]},
        "ttl_sec": {"type": "integer", "minimum": 0, "maximum": LONGEST_TTL},
    },
    *("stream", "event_type", "payload"),
)
READ = _object(
    {
        **_PLACE,
        "consumer_name": {**_CONSUMER, "minLength": 1},
        "count": {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": EVENTS},
        "block_ms": {"type": "integer", "minimum": 0, "maximum": LONGEST_BLOCK_MS, "default": BLOCK_MS},
    },
    *("stream", "consumer_group", "consumer_name"),
)
ACK = _object(_IDS, "stream", "consumer_group", "entry_ids")
NACK = _object(
    {
        **_IDS,
        "consumer_name": {**_CONSUMER, "description": "Only what this consumer has."},
        "reason": {"type": "string", "description": "For people who look at the event's attempts."},
        "delay_ms": {
            "type": "integer",
            "minimum": 0,
            "maximum": LONGEST_DELAY_MS,
            "description": "When to come again; otherwise the group's settings say.",
        },
        "dead": {"type": "boolean", "description": "Do not come again: be a dead letter."},
    },
    *("stream", "consumer_group", "entry_ids"),
)
EXTEND = _object(
    {
        **_IDS,
        "consumer_name": {**_CONSUMER, "description": "Only what this consumer has."},
        "lease_ms": {
            "type": "integer",
            "minimum": SHORTEST_LEASE_MS,
            "maximum": LONGEST_LEASE_MS,
            "description": "From now on; otherwise the group's lease.",
        },
    },
    *("stream", "consumer_group", "entry_ids"),
)


class PulledEvent(Shape):
    """An event in hand."""

    stream = CharField()
    entry_id = CharField()
    # REST framework takes the fields off the class, so its own attribute of this name stays.
    fields = DictField(  # type: ignore[assignment]
        child=JSONField(), help_text="The entry's fields as text; `payload` is an object where it can be one."
    )
    event = DictField(child=JSONField(), help_text="The event, with its types.")
    attempt = IntegerField(help_text="From 1.")


class Pulled(Shape):
    """Events in hand, oldest first; none when there were none in time."""

    events = PulledEvent(many=True)


class Acked(Shape):
    """How many events were still to be settled."""

    acked = IntegerField()


class Nacked(Shape):
    """What became of events that were given back."""

    nacked = IntegerField(help_text="How many were given back, dead letters included.")
    dead = ListField(child=CharField(), help_text="Those that are dead letters now.")
    lost = ListField(child=CharField(), help_text="Those that were trimmed from the stream meanwhile.")
    not_held = ListField(child=CharField(), help_text="Those that nobody had in hand, or somebody else.")


class Extended(Shape):
    """What stays in hand."""

    extended = IntegerField()
    lease_ms = IntegerField(help_text="For how long from now on.")
    not_held = ListField(child=CharField(), help_text="Those that nobody had in hand, or somebody else.")


_WHERE = "beginning, end, the id of an event, or a time; an event of that id or time is included."


class CreateAsked(Shape):
    """The name, and where it begins."""

    name = CharField()
    at = CharField(required=False, help_text=f"{_WHERE} Without it: beginning.")


class CreatedGroup(Shape):
    """A group that was made."""

    stream = CharField()
    group = CharField()
    last_delivered_id = CharField(help_text="The id after which it begins.")


class DeleteAsked(Shape):
    """Nothing, or why it is deleted in spite of what it is owed."""

    force = BooleanField(required=False)
    reason = CharField(required=False, help_text="Recorded. Needed with `force`.")


class DeletedGroup(Shape):
    """What a deleted group was still owed."""

    stream = CharField()
    group = CharField()
    deleted = BooleanField()
    unread = IntegerField(help_text="Counted to 10,000.")
    pending = IntegerField()
    waiting = IntegerField()
    parked = IntegerField()
    dead = IntegerField()


class PausedGroup(Shape):
    """Whether a group rests now."""

    stream = CharField()
    group = CharField()
    bridge = CharField(help_text="The bridge that reads as the group, or is pulled as it.")
    paused = BooleanField()


class MoveAsked(Shape):
    """Where to, and how."""

    to = CharField(help_text=_WHERE)
    discard_waiting = BooleanField(
        required=False, help_text="Forget what it has had before the new place and not settled; else that stays."
    )
    dry_run = BooleanField(required=False, help_text="Only say what it would do.")


class _FromTo(Shape):
    stream = CharField()
    group = CharField()
    to = CharField(help_text="The id after which it goes on then.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": CharField(help_text="The id after which it went on before.")}


class MovedGroup(_FromTo):
    """What moving it did."""

    skipped = IntegerField(help_text="Events that the group will not get.")
    unread_again = IntegerField(help_text="Events that it had had, not settled, and that are unread again.")
    more = BooleanField(help_text="True: it is on its way; the same request goes on.")


class MovePlan(_FromTo):
    """What moving it would do."""

    dry_run = BooleanField()
    skips = IntegerField(help_text="Unread events that would not be delivered.")
    repeats = IntegerField(help_text="Events behind its place that would be delivered again.")
    exact = BooleanField(help_text="False when there are more: the counting stops at 10,000.")
    pending = IntegerField(help_text="In a consumer's hand now.")
    waiting = IntegerField(help_text="To be delivered again, now.")
    parked = IntegerField(help_text="Waiting behind another of their key, now.")
    dead = IntegerField(help_text="Dead letters: they stay.")
    hindrance = CharField(allow_null=True, help_text="Why it cannot be moved now; null when it can.")
