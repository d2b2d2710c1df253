"""Ranges of a stream's entries: parse a request's parameters to a range of ids, and read it in chunks.

A scan reads a bounded number of entries and bytes, so that one request cannot hold up all others.
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
# The first chunk shows how large the entries are; the length of later ones is chosen for a reply of this size. Between
# two chunks the event loop serves others.
FIRST_CHUNK, LONGEST_CHUNK = 20, 250
_CHUNK_BYTES = 256 * 1024


class Scan:
    """A bounded scan through a range of a stream, in chunks.

    Send `command()` and give the entries of its reply to `take_chunk()`, until `done`. Then either the range is
    `exhausted`, or a limit was reached: `most` entries, or `most_bytes`. The first chunk has `first_chunk` entries;
    each later one is at most `growth` times as long as the one before, and has about `chunk_bytes`. `entries` and
    `bytes` count what was read.
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
        """Whether the scan is over: the range is exhausted, or a limit was reached."""
        return self.exhausted or self.entries >= self._most or self.bytes >= self._most_bytes

    def command(self) -> Command:
        """Return the command that reads the next chunk."""
        self._asked = min(self._next_chunk_length(), self._most - self.entries)
        first, last = str(self._part.first), str(self._part.last)
        if self._order == "newest":
            return xrevrange(self._stream, last, first, self._asked)
        return xrange(self._stream, first, last, self._asked)

    def expected_bytes(self, usual: int) -> int:
        """Estimate the bytes of the next chunk. `usual` is the size of an entry, used before the first chunk."""
        return self._next_chunk_length() * (self.bytes // self.entries if self.entries else usual)

    def take_chunk(self, entries: list[Entry]) -> list[Entry]:
        """Count the entries of a reply, move behind them, and return them."""
        self.entries += len(entries)
        self.bytes += sum([sum(map(len, entry.parts)) for entry in entries])
        if len(entries) < self._asked:
            self.exhausted = True
        else:
            self._move_behind(entries[-1])
        return entries

    def _next_chunk_length(self) -> int:
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
        # There is no id beyond the lowest and the highest one.
        self.exhausted = self._part.empty or (id_ in (self._part.first, self._part.last))


_ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_range(query: Mapping[str, str]) -> Range:
    """Return the range that the parameters `since`, `until`, `after` and `before` of a query select together.

    Raises:
        BadParameter: when one of them is neither an id nor a time.
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
    """Return the range that all limits allow: `since` and `until` are inclusive, `after` and `before` exclusive."""
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


def parse_order(query: Mapping[str, str]) -> Order:
    """Parse the parameter `order`; the default is `newest` first.

    Raises:
        BadParameter: when it is neither `newest` nor `oldest`.
    """
    match query.get("order") or "newest":
        case "newest":
            return "newest"
        case "oldest":
            return "oldest"
    raise BadParameter("“order” is newest or oldest.", parameter="order")


def parse_entry_id(text: str) -> EntryId:
    """Parse the entry id in a request's path.

    Raises:
        BadRequest: when it is not a whole id.
    """
    found = parse_id(text)
    if found is None or "-" not in text:
        raise BadRequest("An entry id is two numbers, such as 1705314600000-0.", parameter="id")
    return found.first


MOMENT = "An entry id, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."


def parse_moment(text: str, parameter: str) -> Range | None:
    """Parse a parameter to a range: one id, or all ids of one millisecond. Return None for a blank text.

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


# A time or an id in a query, such as `since`, as the range of ids that it names.
QueryTime = Annotated[
    SkipValidation[Range | None],
    BeforeValidator(lambda text, info: parse_moment(text, info.field_name) if isinstance(text, str) else text),
    WithJsonSchema({"type": "string"}),
]


def parse_id(text: str) -> Range | None:
    """Parse an id, or milliseconds since 1970, to the range of ids that it names. Return None for any other text."""
    match = _ID.fullmatch(text)
    if match is None:
        return None
    ms, sequence = int(match[1]), match[2]
    if ms > MOST or (sequence and int(sequence) > MOST):
        return None
    if sequence is None:
        return _range_of_ms(ms)
    return Range(first=EntryId(ms, int(sequence)), last=EntryId(ms, int(sequence)))


def parse_moment_ms(text: str) -> int | None:
    """Parse an id, milliseconds since 1970 or a time to milliseconds since 1970. Return None for any other text."""
    found = parse_id(text) or _parse_time(text)
    return found.first.ms if found else None


def _parse_time(text: str) -> Range | None:
    if "T" in text:
        # A plus that was not percent-encoded arrives as a space.
        text = text.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_1970 = moment - _EPOCH
    ms = since_1970.days * 86_400_000 + since_1970.seconds * 1000 + since_1970.microseconds // 1000
    return _range_of_ms(max(ms, 0))


def _range_of_ms(ms: int) -> Range:
    return Range(first=EntryId(ms, 0), last=EntryId(ms, MOST))
