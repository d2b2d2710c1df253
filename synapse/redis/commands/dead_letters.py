"""The commands of dead letters: the events that no attempt could deliver to a group, each with the reason.

Dead letters are in a stream of their own. Only scripts add to it (`fail`, `lease`) and remove from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.delivery import call, form_of, netstrings
from synapse.redis.commands.delivery_log import MAX_NAME
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import Entry, to_text

_REPLAY, _DISCARD = load_script("replay"), load_script("discard")

# The error of an attempt without a reported outcome, as `parts/group.lua` writes it.
NO_ANSWER = "nobody answered before the lease ended"

Replayed = Literal["retry", "gone", "waiting", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One failed attempt: its time (milliseconds since 1970), number, duration in milliseconds (None when unknown), and
    error.

    `is_before_edit` is true when the event was edited afterwards: the error may quote a value that the edit removed.
    """

    at_ms: int
    number: int
    took_ms: int | None
    error: str
    is_before_edit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """A stored dead letter.

    `id` is the id of the dead letter, `event_id` that of the event. `parts` are the names and values of the event's
    entry, and `form` is the digest of that copy. `attempts` are the last ten, oldest first; `count` is the number of
    all. Times are milliseconds since 1970.
    """

    id: str
    event_id: str
    parts: list[bytes]
    error: str
    count: int
    attempts: tuple[Attempt, ...]
    first_ms: int
    last_ms: int
    form: str


def letters(stream: str, group: str, *, count: int, past: str = "", oldest_first: bool = False) -> Command:
    """Read dead letters behind the one with the id `past`, newest first by default, as `StoredLetter`s."""
    key, bound = keyspace.dead_letters(stream, group), f"({past}" if past else ""
    words = (
        ("XRANGE", key, bound or stream_commands.FIRST, stream_commands.LAST)
        if oldest_first
        else ("XREVRANGE", key, bound or stream_commands.LAST, stream_commands.FIRST)
    )
    return Command((*words, "COUNT", count), parse=_parse_letters)


def letter(stream: str, group: str, id_: str) -> Command:
    """Read one dead letter: a list with it, empty when it does not exist."""
    return Command(("XRANGE", keyspace.dead_letters(stream, group), id_, id_, "COUNT", 1), parse=_parse_letters)


def count(stream: str, group: str) -> Command:
    """Read the number of a group's dead letters."""
    return stream_commands.xlen(keyspace.dead_letters(stream, group))


def replay(
    stream: str,
    group: str,
    letters: Sequence[tuple[str, bytes]],
    *,
    delay_ms: float = 0,
    step_ms: float = 0,
    actor: str = "",
    logs: bool = False,
) -> Command:
    """Redrive dead letters, with all their attempts to come. With `logs` the delivery log names the actor.

    `letters` are the ids, each with the copy to deliver (netstrings), b"" for the stored one. The first is due after
    `delay_ms`, and each next one `step_ms` later. The reply has a `Replayed` for each. Repeating the command changes
    nothing.
    """
    arguments: list[Argument] = [delay_ms, step_ms, actor[:MAX_NAME]]
    for id_, body in letters:
        arguments += [id_, body]
    return call(_REPLAY, stream, group, arguments, lambda reply: [answer.decode() for answer in reply], logs=logs)


def discard(stream: str, group: str, ids: Sequence[str], *, actor: str = "", logs: bool = False) -> Command:
    """Delete dead letters. The reply is the number that existed. With `logs` the delivery log names the actor."""
    return call(_DISCARD, stream, group, [actor[:MAX_NAME], *ids], logs=logs)


def _parse_letters(reply: Any) -> list[StoredLetter]:
    return [parse_letter(entry) for entry in stream_commands.entries(reply)]


def parse_letter(entry: Entry) -> StoredLetter:
    """Parse the entry of a dead letter."""
    fields = dict(zip(entry.parts[::2], entry.parts[1::2], strict=True))
    body = fields.get(b"body", b"")
    return StoredLetter(
        id=entry.id,
        event_id=to_text(fields.get(b"id", b"")),
        parts=_parse_parts(body),
        error=to_text(fields.get(b"err", b"")),
        count=number(fields.get(b"att")),
        attempts=parse_attempts(fields.get(b"hist", b"")),
        first_ms=number(fields.get(b"first")),
        last_ms=number(fields.get(b"last")),
        form=to_text(fields.get(b"form", b"")) or form_of(body),
    )


def parse_attempts(noted: bytes) -> tuple[Attempt, ...]:
    """Parse the attempts that the scripts recorded for an event, oldest first."""
    return tuple(map(_parse_attempt, _parse_parts(noted)))


def _parse_parts(text: bytes) -> list[bytes]:
    try:
        return netstrings(text)
    except ValueError:
        # An entry of another program: it is shown as far as possible, so that a person can discard it.
        return []


def _parse_attempt(row: bytes) -> Attempt:
    at, nth, took, error = (*row.split(b" ", 3), b"", b"", b"")[:4]
    lasted = took.removesuffix(b"*")
    return Attempt(
        at_ms=number(at),
        number=number(nth),
        took_ms=None if lasted == b"-" else number(lasted),
        error=to_text(error),
        is_before_edit=lasted != took,
    )
