"""What a subscription needs of the place that it reads from."""

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
    """A place in a stream that moves on as events are settled. Every method may raise `Interrupted` or `Refused`."""

    link: Link

    async def read(self) -> list[Delivery]:
        """Return what comes next, oldest first; nothing when there was nothing for a while."""

    async def settle(self, delivery: Delivery) -> None:
        """Note that an event was handled. Doing it twice is as good as once."""

    def is_stale(self, delivery: Delivery) -> bool:
        """Say whether an entry was read so long ago that somebody else may have it by now."""

    async def still_ours(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        """Return those of the read but not yet handled entries that this reader still has to handle, fresh again."""

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Leave entries, read but never handed out, to whoever reads next."""


def rows(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse a list of entries into ids and fields; None where the entry was trimmed or deleted."""
    # Redis 6.2 answers XCLAIM with a bare nil for an entry that is gone.
    return [(row[0].decode(), _fields(row[1])) for row in reply or [] if row is not None]


def rows_of_only_stream(reply: Any) -> list[tuple[str, dict[bytes, bytes] | None]]:
    """Parse the answer of XREAD and XREADGROUP for one stream; nil means that nothing came."""
    return rows(reply[0][1]) if reply else []


def _fields(parts: list[bytes] | None) -> dict[bytes, bytes] | None:
    return dict(zip(parts[::2], parts[1::2], strict=True)) if parts else None
