"""Decoding of entries written by this client, the server or any other program.

Entries in Synapse's own layouts decode to exactly the published event. Foreign ones are decoded as far as possible.
Decoding never fails: bytes that are not UTF-8 become U+FFFD, and text that cannot be parsed stays text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deepiri_modelkit.wire.encoding import ADDED, LAYOUT, LETTERS, NULL, OWN_PREFIX, STRING, TYPES, VERSION, canonical
from deepiri_modelkit.wire.json_text import loads, parse

Layout = Literal["flat", "dual", "envelope", "foreign"]
PropertyTypes = Mapping[str, frozenset[str]]
"""The JSON types that each property of an event may have, by the property's name."""

# The only fields that may accompany the `payload` in envelopes of other publishers.
_ENVELOPE_FIELDS = frozenset(
    {"event_type", "event", "sender", "recipient", "priority", "timestamp", "payload", "message_id"}
    | {"ttl_sec", "ttl", "retry_count", "max_retries"}
)
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedEntry:
    """A decoded event, with the metadata of its entry.

    `event_type` is "" if the entry has none. `timestamp` (ISO 8601) and `source` are the publisher's, or were added on
    storing. `contract_version` is 0 if the event has no contract, None if it was not checked.
    """

    event: dict[str, Any]
    event_type: str
    timestamp: str | None
    source: str | None
    contract_version: int | None
    layout: Layout


def decode(fields: Mapping[bytes, bytes], *, types_of: Mapping[str, PropertyTypes]) -> DecodedEntry:
    """Decode an entry. `types_of` has the types of properties by event type, for texts of foreign publishers."""
    texts = {name.decode("utf-8", "replace"): text.decode("utf-8", "replace") for name, text in fields.items()}
    if VERSION in texts or LAYOUT in texts:
        return _decode_own(texts)
    return _decode_envelope(texts) or _decode_foreign(texts, types_of)


def _decode_own(texts: Mapping[str, str]) -> DecodedEntry:
    layout: Layout = "dual" if texts.get(LAYOUT) == "dual" else "flat"
    added = {LETTERS[letter] for letter in texts.get(ADDED, "") if letter in LETTERS}
    types = loads(texts.get(TYPES, "{}"), otherwise={})
    types = types if isinstance(types, dict) else {}
    event: dict[str, Any] = {}
    for name, text in texts.items():
        if name in added or name.startswith(OWN_PREFIX):
            continue
        if layout == "dual" and name == "payload":
            event[name] = loads(text, otherwise=text)
        else:
            event[name] = text if types.get(name) == STRING else parse(text)
    event.update({name: None for name, kind in types.items() if kind == NULL and name not in event})
    return _make_entry(event, texts, layout=layout, contract_version=_parse_version(texts.get(VERSION, "")))


def _decode_envelope(texts: Mapping[str, str]) -> DecodedEntry | None:
    """Decode an envelope of other publishers: a JSON object in `payload` with only metadata in other fields. None for
    other entries.
    """
    if "payload" not in texts or not _ENVELOPE_FIELDS.issuperset(texts):
        return None
    payload = loads(texts["payload"], otherwise=None)
    if not isinstance(payload, dict):
        return None
    event = canonical(payload)
    if not isinstance(event.get("event_type"), str) and (name := texts.get("event_type") or texts.get("event")):
        event = {**event, "event_type": name}
    if texts.get("sender"):
        event.setdefault("source", texts["sender"])
    return _make_entry(event, texts, layout="envelope", contract_version=None)


def _decode_foreign(texts: Mapping[str, str], types_of: Mapping[str, PropertyTypes]) -> DecodedEntry:
    types = types_of.get(texts.get("event_type") or texts.get("event") or "", {})
    event = {}
    for name, text in texts.items():
        # The event type stays text even if it looks like a number.
        value = text if name in ("event_type", "event") else _read_as(text, types.get(name, frozenset()))
        if value is not _MISSING:
            event[name] = value
    return _make_entry(canonical(event), texts, layout="foreign", contract_version=None)


def _read_as(text: str, types: frozenset[str]) -> Any:
    """Convert a foreign text to one of the types in its contract. `_MISSING` means that there is no value."""
    if not types:
        return parse(text)
    if "boolean" in types and text in ("True", "False"):
        return text == "True"
    if "string" in types and not types & {"object", "array"}:
        return text
    if text in ("", "undefined", "None", "null"):
        return None if "null" in types else _MISSING
    return parse(text)


def _make_entry(
    event: dict[str, Any], texts: Mapping[str, str], *, layout: Layout, contract_version: int | None
) -> DecodedEntry:
    return DecodedEntry(
        event=event,
        event_type=_text_or_none(event.get("event_type")) or "",
        timestamp=_text_or_none(event.get("timestamp")) or texts.get("timestamp"),
        source=_text_or_none(event.get("source")) or texts.get("source") or texts.get("sender"),
        contract_version=contract_version,
        layout=layout,
    )


def _parse_version(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
