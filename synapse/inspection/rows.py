"""Rows: the entries of a stream that a caller may see and asks for, each in the form of the API.

`GET /streams/{stream}/messages`, the explorer and its exports read entries here, so that all show and hide the same.
"""

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
from synapse.wire.masking import entry_row, event_json, mask_of


class TextSearch:
    """A text that is looked for in the names and values of an event, regardless of case.

    A number is found by its JSON text, and so are true, false and null.
    """

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        # As it stands within a text in JSON: what is not found in the event's JSON need not be looked for in its parts.
        self._in_json = exact_json.dumps(self._text)[1:-1].decode()

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row's event has the text, or its source or event type, which may stand beside the event."""
        event = row["event"]
        if any(self._text in (row[name] or "").casefold() for name in ("source", "event_type")):
            return True
        try:
            if self._in_json not in exact_json.dumps(event).decode().casefold():
                return False
        except orjson.JSONEncodeError:
            pass  # a foreign event, nested deeper than JSON can be written
        return self._is_within(event)

    def _is_within(self, event: Any) -> bool:
        # A loop: events may be nested hundreds of levels deep.
        waiting = [event]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting += value
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value
            else:
                text = value if isinstance(value, str) else exact_json.dumps(value).decode()
                if self._text in text.casefold():
                    return True
        return False


class RowSelection:
    """Decides which entries of a stream a caller sees, and returns each as a row.

    A row is what `GET /streams/{stream}/messages` answers for an entry. PII is masked for callers without payload
    access before the text is looked for and the filter applied, so a search tells them nothing of it.
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
    def is_choosy(self) -> bool:
        """Whether entries may be passed over."""
        return bool(self._event_type or self._text or self._filter) or self._rights is not None

    def row(self, found: Entry) -> dict[str, Any] | None:
        """Return the row of an entry; None when it is not selected."""
        # Most skipped entries are recognized by the bytes of their type.
        raw_type = type_of_parts(found.parts) if self.is_choosy else None
        if raw_type is not None and not self._wants(raw_type):
            return None
        if (self._text or self._filter) and not self._meets(found):
            return None
        texts = text_fields(pairs(found.parts))
        decoded = decode_texts(texts, types_of=self._stream.types_of)
        if not self._wants(decoded.event_type):
            return None
        mask = None if self._personal else mask_of(self._stream, decoded)
        return self._first | entry_row(found.id, texts, decoded, mask=mask)

    def _meets(self, found: Entry) -> bool:
        """Say whether an entry has the text and meets the filter. Most do not: only what these look at is decoded."""
        decoded = decode_parts(found.parts, types_of=self._stream.types_of)
        if not self._wants(decoded.event_type):
            return False
        data = text_fields(pairs(found.parts)) if self._filter and "data" in self._filter.names else {}
        mask = None if self._personal else mask_of(self._stream, decoded)
        row = {**entry_row(found.id, data, decoded, mask=mask), "stream": self._stream.name}
        if self._text and not self._text.matches(row):
            return False
        return not self._filter or self._filter.matches(row)

    def _wants(self, event_type: str) -> bool:
        if self._event_type and event_type != self._event_type:
            return False
        return self._rights is None or sees(self._rights, self._stream.name, event_type)


def written_row(row: Mapping[str, Any]) -> bytes:
    """Return a row as JSON."""
    return orjson.dumps({**row, "event": event_json(row["event"], otherwise=row["data"])})
