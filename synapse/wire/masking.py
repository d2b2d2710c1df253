"""Masks PII in entries for readers that may not see it, and writes entries as JSON.

Contracts mark PII. The marks of all versions of an event type's contract apply, those of hidden versions too (see
`streams.contract_marks`). An event without a contract is shown unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from synapse.auth.principal import PERSONAL, Rights
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.formats import exact_json
from synapse.schema import pii
from synapse.schema.pii import Marks
from synapse.wire.encoding import (
    BESIDE,
    CLOUDEVENT,
    CLOUDEVENT_MARKS,
    TYPES,
    DecodedEntry,
    attributes_of,
    further_types,
    types_told,
)

# Fields that repeat a property of the event when the event has no property of their name.
_COPIES = {"event": "event_type", "event_type": "event", "sender": "source"}
# The attributes of a CloudEvent that are shown unmasked, because they name the kind of the event and not its contents,
# and the marks.
_UNMASKED_ATTRIBUTES = frozenset({"type", "datacontenttype", CLOUDEVENT_MARKS})
# Fields beside an event that repeat attributes of its CloudEvent.
_ATTRIBUTES_BESIDE = frozenset({"source", "timestamp"})


@dataclass(frozen=True, slots=True)
class Mask:
    """The PII of an event.

    Attributes:
        marks: marks of the event's type, and of further types that the event names.
        payload_marks: marks of the types named in `payload`, which some readers take for the event.
        is_cloudevent: whether the event was published as a CloudEvent. Then its source and its timestamp are texts of
            the producer, like its other attributes, and not the name of the caller and the time of the publish.
    """

    marks: tuple[Marks, ...]
    payload_marks: tuple[Marks, ...] = ()
    is_cloudevent: bool = False

    def event(self, event: Any) -> Any:
        """Return the masked event."""
        is_garbled = self._has_garbled_payload(event)
        for marks in self.marks:
            event = pii.masked(event, marks)
        if not (self.payload_marks or is_garbled) or "payload" not in event:
            return event
        payload = event["payload"]
        if isinstance(payload, dict):
            for marks in self.payload_marks:
                payload = pii.masked(payload, marks)
        else:
            payload = pii.MASK
        return {**event, "payload": payload}

    def texts(self, event: Any) -> frozenset[str]:
        """Return the PII values of the event."""
        found = frozenset[str]().union(*(pii.pii_texts(event, marks) for marks in self.marks))
        if not (self.payload_marks or self._has_garbled_payload(event)) or "payload" not in event:
            return found
        payload = event["payload"]
        if isinstance(payload, list):
            found |= {_as_text(payload)}
        if isinstance(payload, str):
            found |= {payload}
            payload = _parse_object(payload)
        return found.union(*(pii.pii_texts(payload, marks) for marks in self.payload_marks))

    def _has_garbled_payload(self, event: Any) -> bool:
        """Say whether `payload` is a list, or a text that looks like JSON. A program that copies the event into
        `payload` wrote something else there, and the marks do not tell where its PII is."""
        payload = event.get("payload") if self.marks and isinstance(event, dict) else None
        return isinstance(payload, list) or (isinstance(payload, str) and payload.lstrip().startswith(("{", "[")))

    def text(self, text: str, event: Any) -> str:
        """Return a text about the event, such as an error, with quoted PII values redacted."""
        return pii.redacted(text, self.texts(event))

    def decoded(self, decoded: DecodedEntry) -> DecodedEntry:
        """Return a masked entry."""
        attributes = decoded.cloudevent
        return decoded._replace(
            event=self.event(decoded.event),
            timestamp=self.timestamp(decoded.timestamp, decoded.event),
            source=self.source(decoded.source, decoded.event),
            cloudevent=None if attributes is None else self.attributes(attributes, decoded.event),
        )

    def attributes(self, attributes: Mapping[str, Any], event: Any) -> dict[str, Any]:
        """Return the context attributes of a CloudEvent without the PII values of its event. Keys that are no names of
        attributes, which other programs may have written, are left out."""
        texts = self.texts(event)
        return {
            name: value if name in _UNMASKED_ATTRIBUTES else _redact(value, texts)
            for name, value in attributes.items()
            if name.isalnum() or name in _UNMASKED_ATTRIBUTES
        }

    def timestamp(self, timestamp: str | None, event: Mapping[str, Any]) -> str | None:
        """Return the timestamp to show for an event; None when the event's own timestamp or its CloudEvent's `time` is
        masked, because a mask is no time."""
        if _differs("timestamp", event, self.event(event)):
            return None
        is_masked = timestamp and self.is_cloudevent and self.text(timestamp, event) != timestamp
        return None if is_masked else timestamp

    def source(self, source: str | None, event: Mapping[str, Any]) -> str | None:
        """Return the source to show for an event, masked when the event's own source is masked."""
        hidden = self.event(event)
        if _differs("source", event, hidden):
            return _as_text(hidden["source"])
        return self.text(source, event) if source and self.is_cloudevent else source

    def fields(self, fields: Mapping[str, str], event: Mapping[str, Any]) -> dict[str, str]:
        """Return the entry's fields as stored in Redis, masked. `event` is the event decoded from them."""
        texts = self.texts(event)
        if not texts:
            return dict(fields)
        hidden = self.event(event)
        shown = {name: self._mask_field(name, fields, event, hidden, texts) for name in fields}
        if TYPES in fields:
            # The type of a masked text would reveal something of the text.
            types = {name: kind for name, kind in types_told(fields).items() if not _differs(name, event, hidden)}
            shown |= {TYPES: exact_json.dumps(types).decode()}
            if not types:
                del shown[TYPES]
        return shown

    def _mask_field(
        self, name: str, fields: Mapping[str, str], event: Mapping[str, Any], hidden: Any, texts: frozenset[str]
    ) -> str:
        text = fields[name]
        if name == "payload" and (copied := _parse_object(text)) is not None and event.get(name) not in (text, copied):
            # `payload` is a copy of the event, or the whole event (docs/wire-format.md).
            return exact_json.dumps(self.event(copied)).decode()
        if name not in event and (origin := _COPIES.get(name)) and text in (event.get(origin), fields.get(origin)):
            name = origin
        if name in event:
            return _as_text(hidden[name]) if _differs(name, event, hidden) else text
        if name == CLOUDEVENT and (attributes := attributes_of(text)) is not None:
            return exact_json.dumps(self.attributes(attributes, event)).decode()
        if name in _ATTRIBUTES_BESIDE and self.is_cloudevent:
            return pii.redacted(text, texts)
        # Metadata is known anyway: masking it would reveal which value the event contains.
        return text if name in BESIDE else pii.redacted(text, texts)


def mask_of(stream: StreamDefinition | None, decoded: DecodedEntry) -> Mask | None:
    """Return the mask of an entry for all types that a reader may take it for; None when it has no PII."""
    mask = mask_of_event(stream, decoded.event, decoded.event_type)
    return mask if mask is None or decoded.cloudevent is None else replace(mask, is_cloudevent=True)


def mask_of_event(stream: StreamDefinition | None, event: Mapping[str, Any], *event_types: str) -> Mask | None:
    """Return the mask of an event for these types and those that the event names; None when it has no PII."""
    if stream is None or not stream.marks:
        return None
    further = list(further_types(event))
    marks = _marks_of(stream, *event_types, *(name for at, name in further if at == "/event"))
    payload_marks = _marks_of(stream, *(name for at, name in further if at != "/event"))
    return Mask(marks, payload_marks) if marks or payload_marks else None


def mask_of_type(stream: StreamDefinition | None, event_type: str) -> Mask | None:
    """Return the mask for events of a type, whichever version they were checked against; None without PII."""
    marks = stream.marks.get(event_type) if stream else None
    return Mask(marks) if marks else None


def hiding(stream: StreamDefinition, rights: Rights) -> Callable[[DecodedEntry], DecodedEntry] | None:
    """Return a function that masks the PII of a decoded entry; None when nothing needs to be masked.

    For reports about events: callers that may not see PII must not learn a value from an error about it.
    """
    if rights.has(PERSONAL) or not stream.marks:
        return None

    def hide(decoded: DecodedEntry) -> DecodedEntry:
        mask = mask_of(stream, decoded)
        return decoded if mask is None else decoded._replace(event=mask.event(decoded.event))

    return hide


def _marks_of(stream: StreamDefinition, *event_types: str) -> tuple[Marks, ...]:
    return tuple(marks for name in dict.fromkeys(event_types) for marks in stream.marks.get(name, ()))


def may_hold_pii(stream: StreamDefinition | None) -> bool:
    """Say whether events of the stream may have PII. If not, no event has to be decoded to find out."""
    return stream is not None and bool(stream.marks)


def _redact(value: Any, texts: frozenset[str]) -> Any:
    """Return the value of an attribute with the PII values redacted."""
    if isinstance(value, bool):
        return value
    hidden = pii.redacted(_as_text(value), texts)
    return value if hidden == _as_text(value) else hidden


def _differs(name: str, event: Mapping[str, Any], hidden: Mapping[str, Any]) -> bool:
    return name in event and bool(event[name] != hidden[name])


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else exact_json.dumps(value).decode()


def _parse_object(text: str) -> dict[str, Any] | None:
    try:
        value = exact_json.loads(text)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return value if isinstance(value, dict) else None


def entry_json(id_: str, data: Mapping[str, str], decoded: DecodedEntry, *, mask: Mask | None = None) -> dict[str, Any]:
    """Return an entry as JSON: its fields as text in `data`, the decoded `event`, and the metadata of the entry.

    Args:
        mask: masks the PII for readers that may not see it.
    """
    return row_json(entry_row(id_, data, decoded, mask=mask))


def row_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `entry_row` with an `event` that can be written as JSON."""
    return {**row, "event": event_json(row["event"], otherwise=row["data"])}


def entry_row(id_: str, data: Mapping[str, str], decoded: DecodedEntry, *, mask: Mask | None = None) -> dict[str, Any]:
    """Return an entry like `entry_json`, but with `event` as a value that conditions can be evaluated on."""
    if mask is not None:
        data, decoded = mask.fields(data, decoded.event), mask.decoded(decoded)
    return {
        "id": id_,
        "data": data,
        "event": decoded.event,
        "event_type": decoded.event_type or None,
        "timestamp": decoded.timestamp,
        "source": decoded.source,
        # As in the answer to a publish: null when the event was checked against no contract.
        "contract_version": decoded.contract_version or None,
        "layout": decoded.layout,
        **({} if decoded.cloudevent is None else {"cloudevent": shown_attributes(decoded.cloudevent)}),
    }


def shown_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a CloudEvent without the marks that an entry keeps beside them."""
    return {name: value for name, value in attributes.items() if name.isalnum()}


def event_json(event: Mapping[str, Any], *, otherwise: Mapping[str, str]) -> orjson.Fragment | Mapping[str, str]:
    """Return the event as JSON, or `otherwise` for a foreign event that is nested too deeply to be written as JSON."""
    try:
        return orjson.Fragment(exact_json.dumps(event))
    except orjson.JSONEncodeError:
        return otherwise
