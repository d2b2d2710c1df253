"""The form in which a subscriber gets an event."""

from typing import Any

from deepiri_modelkit.contracts.property_types import property_types
from deepiri_modelkit.wire import DecodedEntry, Layout, decode


class ReceivedEvent(dict[str, Any]):
    """The published event as a dictionary, with the metadata of its entry as attributes.

    Attributes:
        stream: the stream from which the event was read.
        entry_id: the id in the stream. It orders the events, and begins with the time of storing in milliseconds.
        event_type: the type, "" if the entry has none.
        layout: the form in Redis: `flat` or `dual` (of Synapse), `envelope` or `foreign` (of other publishers).
        contract_version: the version of the contract that the event was checked against; 0 if its type has no contract,
            None if it was not checked.
        timestamp: the publisher's time of the event in ISO 8601, otherwise the time of storing; None if unknown.
        source: the publishing program, None if the entry does not name it.
        attempts: the number of deliveries in its group, including this one; 1 without a group.
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
        """Decode an entry from any publisher. Texts of foreign publishers are converted to the types of the event
        models.
        """
        return cls(decode(fields, types_of=property_types()), stream=stream, entry_id=entry_id, attempts=attempts)
