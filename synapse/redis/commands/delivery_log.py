"""Lines of the delivery log of a group, as the scripts of delivery write them (`parts/group.lua`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from synapse.redis import keyspace
from synapse.redis.command import Command
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import to_text

# The kinds of lines: an attempt that succeeded (`done`), failed (`retry`, or for good `dead`) or ended without a report
# (`silent`); that an event was acknowledged unwanted, redriven, discarded, skipped or lost.
LoggedAs = Literal[
    "done", "filtered", "retry", "dead", "silent", "redriven", "edited", "discarded", "skipped", "lost", "unknown"
]
_NAMES = frozenset(get_args(LoggedAs))
# The length to which an error and the name of a consumer or person are cut.
MAX_ERROR, MAX_NAME = 300, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line about an event.

    Attributes:
        nth: its number; lines of a group have rising numbers.
        at_ms: when it was written (milliseconds since 1970).
        what: what happened.
        attempt: the number of the attempt, took_ms how long it took, each None where that is not known.
        status: the HTTP status that a receiver answered, None without one.
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
    """A line about a move of the group, from the id `start` to the id `end`. The rest is as in `LogLine`."""

    nth: int
    at_ms: int
    start: str
    end: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneLog:
    """The lines about attempts that succeeded: the consumer, how long each took (milliseconds; None: unknown), and the
    number of each, empty where it is not known."""

    consumer: str = ""
    took_ms: int | None = None
    attempts: Sequence[int] = ()


def clear(stream: str, group: str) -> Command:
    """Delete the delivery log of a group."""
    return Command(("DEL", keyspace.delivery_log(stream, group)))


def line_in(line: bytes) -> LogLine:
    """Return the line about an event that a member of the log is."""
    _, nth, at, what, attempt, took, status, kind, rest = (*line.split(b" ", 8), *[b""] * 9)[:9]
    length, _, tail = rest.partition(b":")
    end = number(length)
    return LogLine(
        nth=number(nth),
        at_ms=number(at),
        what=cast(LoggedAs, name) if (name := to_text(what)) in _NAMES else "unknown",
        attempt=_maybe(attempt),
        took_ms=_maybe(took),
        status=_maybe(status),
        kind="" if kind == b"-" else to_text(kind),
        by=to_text(tail[:end]),
        error=to_text(tail[end + 1 :]),
    )


def move_in(line: bytes) -> MoveLine:
    """Return the line about a move that a member of the log is."""
    nth, at, start, end, by = (*line.split(b" ", 4), *[b""] * 5)[:5]
    # Zeros before the number put the lines in order.
    nth = nth[1:].lstrip(b"0")
    return MoveLine(nth=number(nth), at_ms=number(at), start=to_text(start), end=to_text(end), by=to_text(by))


def _maybe(digits: bytes) -> int | None:
    return number(digits) if digits.isdigit() else None
