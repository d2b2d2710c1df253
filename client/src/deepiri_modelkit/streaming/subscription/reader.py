"""The interface between a subscription and its source of entries."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from deepiri_modelkit.streaming.subscription.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An entry that was read. `attempts` counts how often it was handed out, this time included."""

    entry_id: str
    fields: dict[bytes, bytes]
    attempts: int = 1
    read_at: float = field(default_factory=time.monotonic)
    """When its idle time began, by the monotonic clock, in seconds."""


class Reader(Protocol):
    """A position in a stream that advances as events are acknowledged. Every method may raise `Interrupted` or
    `Refused`.
    """

    link: Link

    async def read(self) -> list[Delivery]:
        """Return the next entries, oldest first; an empty list when none came for a while."""

    async def settle(self, delivery: Delivery) -> None:
        """Acknowledge a handled event. Repeating this has no effect."""

    def is_stale(self, delivery: Delivery) -> bool:
        """Say whether an entry was read so long ago that another consumer may have claimed it."""

    async def still_ours(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        """Return those of the unhandled entries that are still this reader's, renewed."""

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Return entries that were read but not delivered, for the next reader."""


def rows(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse a list of entries into ids and fields; None where the entry was trimmed or deleted."""
    # Redis 6.2 answers XCLAIM with a bare nil for an entry that is gone.
    return [(row[0].decode(), _fields(row[1])) for row in reply or [] if row is not None]


def rows_of_only_stream(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse the answer of XREAD and XREADGROUP for one stream; nil means that no entry came."""
    return rows(reply[0][1]) if reply else []


def _fields(parts: list[bytes] | None) -> dict[bytes, bytes] | None:
    return dict(zip(parts[::2], parts[1::2], strict=True)) if parts else None
