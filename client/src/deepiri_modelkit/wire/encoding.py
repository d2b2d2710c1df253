"""Encoding of an event to the fields of its entry, in the layout `flat` and without a contract check."""

from collections.abc import Mapping
from typing import Any

from deepiri_modelkit.errors import InvalidEvent
from deepiri_modelkit.names import RULE, is_name
from deepiri_modelkit.wire import json_text

OWN_PREFIX = "synapse_"
LAYOUT, VERSION, ADDED, TYPES = "synapse_layout", "synapse_version", "synapse_added", "synapse_types"
# The fields that are added for other readers, by their letters in `synapse_added`.
LETTERS = {
    "e": "event",
    "t": "timestamp",
    "s": "source",
    "c": "traceparent",
    "p": "payload",
    "d": "sender",
    "r": "priority",
    "n": "recipient",
    "l": "ttl_sec",
}
# Markers in `synapse_types`: a string that would parse as JSON, and a null, which has no field.
STRING, NULL = "s", "n"


def canonical(published: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event in canonical form, as a new dictionary.

    If there is only `event`, it is renamed to `event_type`. If both are equal, `event` is dropped.
    """
    event = dict(published)
    if "event_type" not in event and isinstance(event.get("event"), str):
        event = {"event_type": event.pop("event"), **event}
    elif "event" in event and event["event"] == event.get("event_type"):
        del event["event"]
    return event


def encode(published: Mapping[str, Any], *, timestamp: str, source: str) -> dict[str, str]:
    """Return the fields of the event's entry. The event itself is not changed.

    `timestamp` and `source` are used if the event has none. The entry has `synapse_layout`, by which readers know that
    it decodes exactly, but not `synapse_version`, because the event is not checked against a contract.

    Raises:
        InvalidEvent: when a value is not JSON, a property has a reserved name, or the event has no type.
    """
    event = canonical(published)
    _check_names(event)
    fields: dict[str, str] = {}
    types: dict[str, str] = {}
    for name, value in event.items():
        json_text.check_value(value, f"/{name}", depth=2)
        if isinstance(value, str):
            # A string enum becomes its value.
            fields[name] = str.__str__(value)
            if not isinstance(json_text.parse(fields[name]), str):
                types[name] = STRING
        elif value is None:
            types[name] = NULL
        else:
            fields[name] = json_text.dumps(value)
    added = ""
    for letter, text in (("e", fields["event_type"]), ("t", timestamp), ("s", source)):
        if LETTERS[letter] not in fields:
            fields[LETTERS[letter]] = text
            added += letter
    fields[LAYOUT] = "flat"
    fields[ADDED] = added
    if types:
        fields[TYPES] = json_text.dumps(types)
    return fields


def _check_names(event: Mapping[str, Any]) -> None:
    for name in event:
        json_text.check_key(name, "")
        if name.startswith(OWN_PREFIX):
            raise InvalidEvent(f"The property “{name[:100]}” has a name of Synapse's own: no event may use it.")
    event_type = event.get("event_type")
    if event_type is None:
        raise InvalidEvent("The event has no “event_type”.")
    if not isinstance(event_type, str) or not is_name(event_type):
        raise InvalidEvent(f"“event_type” is a name: {RULE}.")
