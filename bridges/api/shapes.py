"""What the pull protocol takes and gives."""

from typing import Any

from rest_framework.fields import CharField, DictField, IntegerField, JSONField, ListField

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
