"""An event on its way into a sink."""

from collections.abc import Mapping, Sequence
from typing import Any

from synapse.wire import entry, fast_decoder
from synapse.wire.entry import DecodedEntry, TopLevelTypes

_NO_TYPES: Mapping[str, TopLevelTypes] = {}


class Delivery:
    """One event of a stream, as a group gets it.

    `attempt` counts the deliveries of this event to this group, from 1, those that a crash cut off included. `parts`
    are the names and values of its entry in turn, as they lie in Redis; `types_of` says how those of foreign entries
    are read. Decoded only when somebody asks, and once: a sink may do that in a process of its own. `token` names the
    lease under which the event is in hand; it is the runtime's, and means nothing to a sink.
    """

    __slots__ = ("_entry", "attempt", "id", "parts", "stream", "token", "types_of")

    def __init__(
        self,
        *,
        stream: str,
        id: str,
        attempt: int,
        parts: Sequence[bytes],
        types_of: Mapping[str, TopLevelTypes] = _NO_TYPES,
        token: str = "",
    ) -> None:
        self.stream = stream
        self.id = id
        self.attempt = attempt
        self.parts = parts
        self.types_of = types_of
        self.token = token
        self._entry: DecodedEntry | None = None

    def __repr__(self) -> str:
        return f"Delivery({self.stream} {self.id}, attempt {self.attempt})"

    @property
    def entry(self) -> DecodedEntry:
        """The event as it was read, and what its entry says about it."""
        if self._entry is None:
            self._entry = fast_decoder.decode_parts(self.parts, types_of=self.types_of)
        return self._entry

    @entry.setter
    def entry(self, read: DecodedEntry) -> None:
        self._entry = read

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields of the entry, as they lie in Redis."""
        return entry.pairs(self.parts)

    @property
    def event(self) -> dict[str, Any]:
        """The canonical event."""
        return self.entry.event

    @property
    def event_type(self) -> str:
        """The event's type, "" when the entry names none."""
        return self.entry.event_type

    @property
    def timestamp(self) -> str | None:
        """When it happened (ISO 8601), as its publisher says, or when it was published; None when nobody said."""
        return self.entry.timestamp

    @property
    def source(self) -> str | None:
        """Who published it, as far as somebody said."""
        return self.entry.source
