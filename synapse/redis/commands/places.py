"""The command that reads the place of one event in a group. It changes nothing."""

from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Command, load_script
from synapse.redis.commands.dead_letters import Attempt, StoredLetter, parse_attempts, parse_letter
from synapse.redis.commands.delivery import call, netstrings
from synapse.redis.commands.delivery_log import LogLine, MoveLine, parse_line, parse_move
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import entries, to_text

_PLACE = load_script("place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A consumer with the event pending: the milliseconds since its delivery, and the number of deliveries."""

    consumer: str
    idle_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlace:
    """The records of a group about one event, read at one moment. Times are milliseconds since 1970.

    Attributes:
        now_ms: the time of the reading, by the server's clock.
        pending: the consumer that has the event as a pending entry.
        due_ms: the time when the event is due, or the end of its lease.
        form: the digest of the group's copy of the event; "" without a copy.
        deliveries: the number of deliveries recorded with the copy.
        token: the token of its lease; "" for none.
        attempts: its last failed attempts, oldest first.
        turn: for a blocked event, the event that has the turn of its key.
        ahead: the number of blocked events with the same key before it; None when there are too many to count.
        began: the id after which the group began, None when not recorded.
        passed_over: the number of events of the group that were skipped, discarded or lost.
        doubtful: the id up to which such events may have no line in the delivery log; None for none.
        letters: its dead letters, without the copies of the event.
        unlisted: the number of dead letters of the group that are not indexed by event.
        lines: its lines in the delivery log.
        moves: the lines about moves of the group over the event.
    """

    now_ms: int
    pending: Holder | None
    due_ms: int | None
    form: str
    deliveries: int
    token: str
    attempts: tuple[Attempt, ...]
    turn: str
    ahead: int | None
    began: str | None
    passed_over: int
    doubtful: str | None
    letters: tuple[StoredLetter, ...]
    unlisted: int
    lines: tuple[LogLine, ...] = ()
    moves: tuple[MoveLine, ...] = ()


def place(stream: str, group: str, id_: str) -> Command:
    """Read the place of an event in a group: `StoredPlace`. Neither the event nor the group has to exist."""
    return call(_PLACE, stream, group, [id_], _parse_place, logs=True)


def stored_copy(stream: str, group: str, id_: str) -> Command:
    """Read the names and values of an event from the group's copy; None when the group has no copy."""
    words = ("HGET", keyspace.messages(stream, group), f"{id_}:body")
    return Command(words, parse=lambda reply: None if reply is None else netstrings(reply))


def _parse_place(reply: Any) -> StoredPlace:
    now, pending, due, form, deliveries, token, noted, turn, ahead, began, over, doubtful, *rest = reply
    unlisted, lines, moves, *letters = rest
    return StoredPlace(
        now_ms=number(now),
        pending=Holder(consumer=to_text(pending[0]), idle_ms=pending[1], deliveries=pending[2]) if pending else None,
        due_ms=None if due is None else round(float(due)),
        form=to_text(form or b""),
        deliveries=number(deliveries),
        token=to_text(token or b""),
        attempts=parse_attempts(noted or b""),
        turn=to_text(turn or b""),
        ahead=ahead,
        began=None if began is None else _full_id(to_text(began)),
        passed_over=over,
        doubtful=None if doubtful is None else to_text(doubtful),
        letters=tuple(parse_letter(entry) for entry in entries(letters)),
        unlisted=max(0, unlisted),
        lines=tuple(map(parse_line, lines)),
        moves=tuple(map(parse_move, moves)),
    )


def _full_id(id_: str) -> str:
    # A group can begin at “0”, and behind a time in milliseconds.
    return id_ if "-" in id_ else f"{id_}-0"
