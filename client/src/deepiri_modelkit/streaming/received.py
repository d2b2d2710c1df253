"""An event as a subscriber gets it."""

from typing import Any

from deepiri_modelkit.contracts.property_types import property_types
from deepiri_modelkit.wire import DecodedEntry, Layout, decode


class ReceivedEvent(dict[str, Any]):
    """The published event, a plain dictionary; the metadata of its entry is in attributes.

    Attributes:
        stream: the stream it was read from.
        entry_id: its id in the stream; it orders the events and begins with the time of storing, in milliseconds.
        event_type: its type, "" when the entry names none.
        layout: its form in Redis: `flat` or `dual` (Synapse's own), `envelope` or `foreign` (other publishers').
        contract_version: the version of the contract it was checked against; 0 when its type has none, None when
            nobody checked it.
        timestamp: when it happened, in ISO 8601, by the publisher or else the time of storing it; None when unknown.
        source: the program that published it, as far as the entry says.
        attempts: how often it was handed out in its group, this time included; 1 without a group.
    """

    def __init__(self, entry: DecodedEntry, *, stream: str, entry_id: str, attempts: int = 1) -> None:
        super().__init__(entry.event)
        self.stream = stream
        self.entry_id = entry_id
        self.event_type = entry.event_type
        self.layout: Layout = entry.layout
        self.contract_version = entry.contract_version
        self.timestamp = entry.timestamp
        self.source = entry.source
        self.attempts = attempts

    @classmethod
    def of_fields(cls, fields: dict[bytes, bytes], *, stream: str, entry_id: str, attempts: int = 1) -> "ReceivedEvent":
        """Return the event of an entry from any publisher. Text from foreign publishers is converted by the event
        models.
        """
        return cls(decode(fields, types_of=property_types()), stream=stream, entry_id=entry_id, attempts=attempts)
