"""Entries of a stream that a request asks for: from its parameters to a range of ids, which is read in chunks.

A scan never reads more than a bound: one request must not hold up all others.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, SkipValidation, WithJsonSchema

from synapse.problems import BadParameter, BadRequest
from synapse.redis import Command
from synapse.redis.commands.streams import Entry, xrange, xrevrange
from synapse.wire.ids import FIRST, LAST, MOST, NOTHING, EntryId, Range, following, parse, preceding

Order = Literal["newest", "oldest"]

MOST_ENTRIES = 10_000
MOST_BYTES = 16 * 1024 * 1024
# The first chunk shows how large the entries are; later ones are as long as fits into a reply of this size. Between
# two chunks the event loop serves others.
FIRST_CHUNK, LONGEST_CHUNK = 20, 250
_CHUNK_BYTES = 256 * 1024


class Scan:
    """Where a walk through a range of a stream stands.

    Send `command()` and give the entries of its reply to `take()`, until `done`. Then either `exhausted` says that
    there is nothing more in the range, or a bound was hit: `most` entries, or `most_bytes`. The first chunk has
    `first_chunk` entries, and each later one is at most `growth` times as long as the one before, and of about
    `chunk_bytes`. `entries` and `bytes` count those that were read.
    """

    def __init__(
        self,
        stream: str,
        part: Range,
        *,
        order: Order = "oldest",
        most: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        first_chunk: int = FIRST_CHUNK,
        chunk_bytes: int = _CHUNK_BYTES,
        growth: int = LONGEST_CHUNK,
    ) -> None:
        self._stream = stream
        self._part = part
        self._first_chunk = first_chunk
        self._chunk_bytes = chunk_bytes
        self._growth = growth
        self._order = order
        self._most = most
        self._most_bytes = most_bytes
        self._asked = 0
        self.bytes = 0
        self.entries = 0
        self.exhausted = part.empty

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read."""
        return self.exhausted or self.entries >= self._most or self.bytes >= self._most_bytes

    def command(self) -> Command:
        """Return the command that reads the next chunk."""
        self._asked = min(self._chunk(), self._most - self.entries)
        first, last = str(self._part.first), str(self._part.last)
        if self._order == "newest":
            return xrevrange(self._stream, last, first, self._asked)
        return xrange(self._stream, first, last, self._asked)

    def expected_bytes(self, usual: int) -> int:
        """Return about how many bytes the next chunk has. `usual`: those of an entry, where none was read yet."""
        return self._chunk() * (self.bytes // self.entries if self.entries else usual)

    def take(self, entries: list[Entry]) -> list[Entry]:
        """Count the chunk that came, and return it."""
        self.entries += len(entries)
        self.bytes += sum([sum(map(len, entry.parts)) for entry in entries])
        if len(entries) < self._asked:
            self.exhausted = True
        else:
            self._move_behind(entries[-1])
        return entries

    def _chunk(self) -> int:
        if not self.entries:
            return self._first_chunk
        fitting = self._chunk_bytes * self.entries // max(self.bytes, 1)
        return max(1, min(LONGEST_CHUNK, fitting, self._asked * self._growth))

    def _move_behind(self, entry: Entry) -> None:
        id_ = parse(entry.id)
        if self._order == "newest":
            self._part = Range(first=self._part.first, last=preceding(id_))
        else:
            self._part = Range(first=following(id_), last=self._part.last)
        # At either end of all ids there is no further one.
        self.exhausted = self._part.empty or (id_ in (self._part.first, self._part.last))


_ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def asked_range(query: Mapping[str, str]) -> Range:
    """Return the range that `since`, `until`, `after` and `before` of a query agree on, as `intersection` does.

    Raises:
        BadParameter: when one of them is no time.
    """
    return intersection(
        **{name: parse_moment(query.get(name, ""), name) for name in ("since", "until", "after", "before")}
    )


def intersection(
    *,
    since: Range | None = None,
    until: Range | None = None,
    after: Range | None = None,
    before: Range | None = None,
) -> Range:
    """Return the range that all agree on: `since` and `until` are included, `after` and `before` left out."""
    first = FIRST if since is None else since.first
    last = LAST if until is None else until.last
    if after is not None:
        if after.last == LAST:
            return NOTHING
        first = max(first, following(after.last))
    if before is not None:
        if before.first == FIRST:
            return NOTHING
        last = min(last, preceding(before.first))
    return Range(first=first, last=last)


def asked_order(query: Mapping[str, str]) -> Order:
    """Return `order`: the newest entries first, unless asked otherwise.

    Raises:
        BadParameter: when it is another word.
    """
    match query.get("order") or "newest":
        case "newest":
            return "newest"
        case "oldest":
            return "oldest"
    raise BadParameter("“order” is newest or oldest.", parameter="order")


def asked_id(text: str) -> EntryId:
    """Return the entry id that a path names.

    Raises:
        BadRequest: when it is no whole id.
    """
    found = parse_id(text)
    if found is None or "-" not in text:
        raise BadRequest("An entry id is two numbers, such as 1705314600000-0.", parameter="id")
    return found.first


MOMENT = "An entry id, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."


def parse_moment(text: str, parameter: str) -> Range | None:
    """Return the ids that a parameter's text means: one, or those of a whole millisecond; None for a blank one.

    Raises:
        BadParameter: when it is neither an entry id, nor milliseconds since 1970, nor a time in ISO 8601.
    """
    text = text.strip()
    if not text:
        return None
    found = parse_id(text) or _parse_time(text)
    if found is None:
        raise BadParameter(
            f"“{parameter}” is an entry id, milliseconds since 1970, or a time such as 2024-01-15T10:30:00Z.",
            parameter=parameter,
        )
    return found


# A moment in a query, such as `since`: the ids that it means.
QueryTime = Annotated[
    SkipValidation[Range | None],
    BeforeValidator(lambda text, info: parse_moment(text, info.field_name) if isinstance(text, str) else text),
    WithJsonSchema({"type": "string"}),
]


def parse_id(text: str) -> Range | None:
    """Return the id that a text is, or those of a whole millisecond; None when it is neither."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    ms, sequence = int(match[1]), match[2]
    if ms > MOST or (sequence and int(sequence) > MOST):
        return None
    if sequence is None:
        return _millisecond(ms)
    return Range(first=EntryId(ms, int(sequence)), last=EntryId(ms, int(sequence)))


def asked_moment(text: str) -> int | None:
    """Return the moment that a text is, in milliseconds since 1970; None when it is none."""
    found = parse_id(text) or _parse_time(text)
    return found.first.ms if found else None


def _parse_time(text: str) -> Range | None:
    if "T" in text:
        # An unescaped plus of a UTC offset arrives as a space.
        text = text.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_1970 = moment - _EPOCH
    ms = since_1970.days * 86_400_000 + since_1970.seconds * 1000 + since_1970.microseconds // 1000
    return _millisecond(max(ms, 0))


def _millisecond(ms: int) -> Range:
    return Range(first=EntryId(ms, 0), last=EntryId(ms, MOST))
