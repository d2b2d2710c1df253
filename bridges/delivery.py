"""An event on its way into a sink."""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.entry import DecodedEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event of a stream, as a group gets it.

    `attempt` counts the deliveries of this event to this group, from 1, those that a crash cut off included. `fields`
    are those of its entry, as they lie in Redis.
    """

    stream: str
    id: str
    attempt: int
    entry: DecodedEntry
    fields: Mapping[bytes, bytes]
