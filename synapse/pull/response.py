"""An event as `POST /v1/read` gives it."""

from typing import Any

import orjson

from synapse.delivery.sink import Delivery
from synapse.wire import entry_json
from synapse.wire.encoding import text_fields
from synapse.wire.ids import iso_of, moment_of


def shown(delivery: Delivery) -> dict[str, Any]:
    """Return an event in the form that clients of the protocol expect.

    `fields` are the entry's, as text, for entries of any writer; further fields of an envelope are added where the
    entry lacks them, and `payload` is an object where it can be one: a client that cannot parse a text gets no text.
    """
    entry = delivery.entry
    row = entry_json.shown(delivery.id, text_fields(delivery.fields), entry)
    fields: dict[str, Any] = dict(row["data"])
    if "payload" not in fields:
        fields["payload"] = row["event"]
    elif (found := _object(fields["payload"])) is not None:
        fields["payload"] = found
    fields.setdefault("event_type", entry.event_type)
    fields.setdefault("sender", entry.source or "")
    fields.setdefault("priority", "normal")
    # Where no calendar has the moment of its id, the event goes without a time.
    if time := entry.timestamp or iso_of(moment_of(delivery.id)):
        fields.setdefault("timestamp", time)
    return {
        "stream": delivery.stream,
        "entry_id": delivery.id,
        "fields": fields,
        "event": row["event"],
        "attempt": delivery.attempt,
    }


def _object(text: str) -> orjson.Fragment | None:
    """Return the JSON object that a text is, digit for digit, None when it is none."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return None
    return orjson.Fragment(text) if is_object else None
