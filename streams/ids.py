"""The ids of entries, and ranges of them. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

# Redis keeps both halves of an id in 64 bits.
MOST = 2**64 - 1


class EntryId(NamedTuple):
    """An entry's id as Redis orders them: milliseconds since 1970, and a number within the millisecond."""

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
        """Whether no id can lie in it."""
        return self.first > self.last


NOTHING = Range(first=LAST, last=FIRST)


def parse(text: str) -> EntryId:
    """Return the id that Redis wrote."""
    ms, _, sequence = text.partition("-")
    return EntryId(int(ms), int(sequence))


def following(id_: EntryId) -> EntryId:
    """Return the next id after this one; the last of all stays."""
    if id_.sequence < MOST:
        return EntryId(id_.ms, id_.sequence + 1)
    return EntryId(id_.ms + 1, 0) if id_.ms < MOST else id_


def preceding(id_: EntryId) -> EntryId:
    """Return the id just before this one; the first of all stays."""
    if id_.sequence > 0:
        return EntryId(id_.ms, id_.sequence - 1)
    return EntryId(id_.ms - 1, MOST) if id_.ms > 0 else id_
