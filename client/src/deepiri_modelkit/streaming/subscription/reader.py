"""The interface between a subscription and its source of entries."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deepiri_modelkit.streaming.subscription.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An entry that was read. `attempts` is the number of its deliveries, including this one."""

    entry_id: str
    fields: dict[bytes, bytes]
    attempts: int = 1
    read_at: float = field(default_factory=time.monotonic)
    """The time at which its idle time began (monotonic clock, seconds)."""


class Reader(Protocol):
    """A position in a stream that advances as events are acknowledged. Every method may raise `Interrupted` or
    `Refused`.
    """

    link: Link

    async def read(self) -> list[Delivery]:
        """Return the next entries, oldest first; an empty list if none came within the blocking time."""

    async def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge a handled event. Repeating this has no effect."""

    def is_stale(self, delivery: Delivery) -> bool:
        """Say whether an entry was read so long ago that another consumer may have claimed it."""

    async def renew(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        """Reset the idle time of unhandled entries, and return those that still belong to this reader."""

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Release entries that were read but not delivered, for the next reader."""


def parse_rows(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse a list of entries into ids and fields; the fields are None if the entry was trimmed or deleted."""
    # Redis 6.2 replies to XCLAIM with a bare nil for a deleted entry.
    return [(row[0].decode(), _parse_fields(row[1])) for row in reply or [] if row is not None]


def parse_single_stream(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse the reply to XREAD or XREADGROUP for one stream; nil means that no entry came."""
    return parse_rows(reply[0][1]) if reply else []


def _parse_fields(parts: list[bytes] | None) -> dict[bytes, bytes] | None:
    return dict(zip(parts[::2], parts[1::2], strict=True)) if parts else None
