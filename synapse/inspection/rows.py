"""Rows: the entries of a stream that a caller may see and selects, each in the form of the API.

`GET /streams/{stream}/messages`, the explorer and its exports all read entries here, so that they show and mask alike.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from synapse.auth.principal import EVERY_TYPE, PERSONAL, Rights, sees
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.filters import EventFilter
from synapse.formats import exact_json
from synapse.redis.commands.streams import Entry
from synapse.wire.encoding import decode_texts, pairs, text_fields
from synapse.wire.fast_decoder import decode_parts, type_of_parts
from synapse.wire.masking import entry_row, mask_of, row_json

# These stand for an escaped quotation mark and an escaped backslash: no decoded text holds these surrogates.
_QUOTE, _BACKSLASH = "\ud800", "\ud801"
_ESCAPED = {
    "\\\\": _BACKSLASH,  # first, because the others begin with a backslash
    '\\"': _QUOTE,
    **{exact_json.dumps(character)[1:-1].decode(): character for character in ("\n", *map(chr, range(0x20)))},
}
# The characters of a number, true, false and null, in lower case.
_PLAIN = re.compile(r"[-+.0-9a-z]*", re.ASCII)


class TextSearch:
    """A search for a text in the names and values of an event, regardless of case.

    A number, true, false and null are found by their JSON text. The event's JSON is searched as a whole: one entry may
    hold hundreds of thousands of values, and the event loop waits meanwhile.
    """

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        self._in_json = _unescape(exact_json.dumps(self._text)[1:-1].decode())
        self._may_be_plain = _PLAIN.fullmatch(self._text) is not None

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Say whether the text is in a row's event, or in its source or event type, which may be outside the event."""
        if any(self._text in (row[name] or "").casefold() for name in ("source", "event_type")):
            return True
        json = _unescape(_json_of(row["event"]).casefold())
        if self._in_json not in json:
            return False
        # The text holds no quotation mark, so it was found either within one JSON string or between two. Between them
        # only numbers, true, false and null are values; the rest is punctuation.
        return self._may_be_plain or self._in_json in '"'.join(json.split('"')[1::2])


def _json_of(event: Any) -> str:
    try:
        return exact_json.dumps(event).decode()
    except orjson.JSONEncodeError:  # another program's event, nested deeper than orjson can write
        return exact_json.dumps(_parts_of(event)).decode()


def _parts_of(event: Any) -> list[Any]:
    """Return the names and the scalar values in an event. A loop: events may be nested hundreds of levels deep."""
    parts: list[Any] = []
    waiting = [event]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            parts += value
            value = value.values()
        elif not isinstance(value, list):
            value = (value,)
        inner = [each for each in value if isinstance(each, (dict, list))]
        waiting += inner
        parts += [each for each in value if not isinstance(each, (dict, list))] if inner else value
    return parts


def _unescape(json: str) -> str:
    """Replace the escapes in JSON, so that each remaining quotation mark begins or ends a string."""
    for escape, character in _ESCAPED.items():
        if "\\" not in json:
            break
        json = json.replace(escape, character)
    return json


class RowSelection:
    """Decides which entries of a stream a caller sees, and returns each as a row.

    A row is what `GET /streams/{stream}/messages` answers for an entry. For callers that may not see PII, it
    is masked before the text is searched and the filter applied, so that a search reveals nothing about PII.
    """

    def __init__(
        self,
        stream: StreamDefinition,
        rights: Rights,
        *,
        event_type: str = "",
        text: TextSearch | None = None,
        filter: EventFilter | None = None,
        with_stream: bool = False,
    ) -> None:
        """Select entries.

        Args:
            event_type: only of this event type; "" for all.
            text: only of events with this text.
            filter: only rows that meet it.
            with_stream: whether each row names its stream.
        """
        self._stream = stream
        self._rights = None if rights.may("read", stream.name, EVERY_TYPE) else rights
        self._personal = rights.has(PERSONAL)
        self._event_type = event_type
        self._text = text
        self._filter = filter
        self._first = {"stream": stream.name} if with_stream else {}

    @property
    def may_skip(self) -> bool:
        """Whether the selection may skip entries."""
        return bool(self._event_type or self._text or self._filter) or self._rights is not None

    def row(self, found: Entry) -> dict[str, Any] | None:
        """Return the row of an entry, None when the entry is not selected."""
        # Most skipped entries are recognized by the bytes of their type, without decoding.
        raw_type = type_of_parts(found.parts) if self.may_skip else None
        if raw_type is not None and not self._is_wanted_type(raw_type):
            return None
        if (self._text or self._filter) and not self._is_match(found):
            return None
        texts = text_fields(pairs(found.parts))
        decoded = decode_texts(texts, types_of=self._stream.types_of)
        if not self._is_wanted_type(decoded.event_type):
            return None
        mask = None if self._personal else mask_of(self._stream, decoded)
        return self._first | entry_row(found.id, texts, decoded, mask=mask)

    def _is_match(self, found: Entry) -> bool:
        """Say whether an entry has the text and meets the filter. Most entries do not, so only the needed fields are
        decoded.
        """
        decoded = decode_parts(found.parts, types_of=self._stream.types_of)
        if not self._is_wanted_type(decoded.event_type):
            return False
        data = text_fields(pairs(found.parts)) if self._filter and "data" in self._filter.names else {}
        mask = None if self._personal else mask_of(self._stream, decoded)
        row = {**entry_row(found.id, data, decoded, mask=mask), "stream": self._stream.name}
        if self._text and not self._text.matches(row):
            return False
        return not self._filter or self._filter.matches(row)

    def _is_wanted_type(self, event_type: str) -> bool:
        if self._event_type and event_type != self._event_type:
            return False
        return self._rights is None or sees(self._rights, self._stream.name, event_type)


def row_as_json(row: Mapping[str, Any]) -> bytes:
    """Return a row as JSON."""
    return orjson.dumps(row_json(row))
