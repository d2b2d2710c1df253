"""Ids of entries, ranges of ids, and the start positions of groups as people write them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from synapse.errors.delivery import BadPosition

# Redis keeps both halves of an id in 64 bits.
MOST = 2**64 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EntryId(NamedTuple):
    """The id of an entry, in the order of Redis: milliseconds since 1970, and a number within the millisecond."""

    ms: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"


FIRST, LAST = EntryId(0, 0), EntryId(MOST, MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The ids from `first` to `last`, both included."""

    first: EntryId = FIRST
    last: EntryId = LAST

    @property
    def empty(self) -> bool:
        """Whether the range contains no id."""
        return self.first > self.last


NOTHING = Range(first=LAST, last=FIRST)


def parse(text: str) -> EntryId:
    """Return the id that Redis wrote."""
    ms, _, sequence = text.partition("-")
    return EntryId(int(ms), int(sequence))


def moment_of_ms(ms: int) -> datetime | None:
    """Return a time given in milliseconds since 1970; None when `datetime` cannot represent it."""
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None


def moment_of(id_: str) -> datetime | None:
    """Return the time at which Redis stored an entry, by its id; None when `datetime` cannot represent it.

    Other programs may choose any id, for example one made of nanoseconds.
    """
    return moment_of_ms(int(id_.partition("-")[0]))


def iso_of(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601 (UTC, milliseconds, `Z`); None for None."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def iso_now() -> str:
    """Return the current time as `iso_of` writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def time_of(ms: int | None) -> str | None:
    """Return a time in ISO 8601 (UTC), given in milliseconds since 1970; None for None, and when `datetime` cannot
    represent it."""
    return None if ms is None else iso_of(moment_of_ms(ms))


def following(id_: EntryId) -> EntryId:
    """Return the next id; the greatest id is returned unchanged."""
    if id_.sequence < MOST:
        return EntryId(id_.ms, id_.sequence + 1)
    return EntryId(id_.ms + 1, 0) if id_.ms < MOST else id_


def preceding(id_: EntryId) -> EntryId:
    """Return the previous id; the smallest id is returned unchanged."""
    if id_.sequence > 0:
        return EntryId(id_.ms, id_.sequence - 1)
    return EntryId(id_.ms - 1, MOST) if id_.ms > 0 else id_


BEGINNING, NEW = "0", "$"
_ID = re.compile(r"(?P<ms>[0-9]{1,20})(?:-(?P<sequence>[0-9]{1,20}))?")


def start_of(text: str, *, now: datetime) -> str:
    """Return the id after which a new group reads, given its start position as a person writes it.

    Args:
        text: `beginning`, `new`, the id of an entry, or a time (ISO 8601; UTC without a zone). The entry with exactly
            this id or time is included.

    Raises:
        BadPosition: when the text is none of these, or a time after `now`.
    """
    if text in ("beginning", "new"):
        return BEGINNING if text == "beginning" else NEW
    if found := _ID.fullmatch(text):
        return _before(int(found["ms"]), int(found["sequence"] or 0))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise BadPosition(
            f"“{text[:100]}” is not a start position: use beginning, new, the id of an event (1766570400000-0), "
            "or a time (2025-12-24T10:00:00Z)."
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if time > now:
        raise BadPosition(f"{time.isoformat()} is in the future. To start with events published from now on: new.")
    return _before(max(0, int(time.timestamp() * 1000)), 0)


def _before(ms: int, sequence: int) -> str:
    if ms > MOST or sequence > MOST:
        raise BadPosition("The two numbers of an id have at most 64 bits each.")
    return str(preceding(EntryId(ms, sequence))) if ms or sequence else BEGINNING
