"""Lines in the delivery log of a group, which the delivery scripts write (`parts/group.lua`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from synapse.redis import keyspace
from synapse.redis.command import Command
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import to_text

# The kinds of lines. An attempt succeeded (`done`), failed (`retry`, or finally `dead`) or ended without a report
# (`silent`); or the event was filtered out, redriven, discarded, skipped or lost.
LoggedAs = Literal[
    "done", "filtered", "retry", "dead", "silent", "redriven", "edited", "discarded", "skipped", "lost", "unknown"
]
_NAMES = frozenset(get_args(LoggedAs))
# The length to which an error, and the name of a consumer or person, is cut.
MAX_ERROR, MAX_NAME = 300, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line about an event.

    Attributes:
        nth: the number of the line; lines of a group have rising numbers.
        at_ms: the time when the line was written (milliseconds since 1970).
        what: the kind of line.
        attempt: the number of the attempt. None when unknown.
        took_ms: its duration in milliseconds. None when unknown.
        status: the HTTP status of the receiver's response, None without one.
        kind: the kind of failure, "" without one.
        by: the consumer that made the attempt, or the person or program that acted.
        error: the error, "" without one.
    """

    nth: int
    at_ms: int
    what: LoggedAs
    attempt: int | None = None
    took_ms: int | None = None
    status: int | None = None
    kind: str = ""
    by: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLine:
    """A line about a move of the group, from the id `start` to the id `end`.

    The other attributes are those of `LogLine`.
    """

    nth: int
    at_ms: int
    start: str
    end: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneLog:
    """The log lines of attempts that succeeded.

    `consumer` made the attempts, `took_ms` is the duration of each (None when unknown), and `attempts` are their
    numbers, empty when unknown.
    """

    consumer: str = ""
    took_ms: int | None = None
    attempts: Sequence[int] = ()


def clear(stream: str, group: str) -> Command:
    """Delete the delivery log of a group."""
    return Command(("DEL", keyspace.delivery_log(stream, group)))


def parse_line(line: bytes) -> LogLine:
    """Parse a member of the log to a line about an event."""
    _, nth, at, what, attempt, took, status, kind, rest = (*line.split(b" ", 8), *[b""] * 9)[:9]
    length, _, tail = rest.partition(b":")
    end = number(length)
    return LogLine(
        nth=number(nth),
        at_ms=number(at),
        what=cast(LoggedAs, name) if (name := to_text(what)) in _NAMES else "unknown",
        attempt=_int_or_none(attempt),
        took_ms=_int_or_none(took),
        status=_int_or_none(status),
        kind="" if kind == b"-" else to_text(kind),
        by=to_text(tail[:end]),
        error=to_text(tail[end + 1 :]),
    )


def parse_move(line: bytes) -> MoveLine:
    """Parse a member of the log to a line about a move."""
    nth, at, start, end, by = (*line.split(b" ", 4), *[b""] * 5)[:5]
    # Leading zeros keep the lines in order.
    nth = nth[1:].lstrip(b"0")
    return MoveLine(nth=number(nth), at_ms=number(at), start=to_text(start), end=to_text(end), by=to_text(by))


def _int_or_none(digits: bytes) -> int | None:
    return number(digits) if digits.isdigit() else None
