"""The place of one event in a group, as a command that changes nothing."""

from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Command, load_script
from synapse.redis.commands.dead_letters import Attempt, StoredLetter, attempts_in, letter_in
from synapse.redis.commands.delivery import call, netstrings
from synapse.redis.commands.delivery_log import LogLine, MoveLine, line_in, move_in
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import entries, to_text

_PLACE = load_script("place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A consumer that has an event pending: for how long (milliseconds), and how often it was delivered."""

    consumer: str
    idle_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlace:
    """All that a group keeps of one event, read at one moment. Times are milliseconds since 1970.

    Attributes:
        now_ms: the moment, by the server's clock.
        pending: who has it as a pending entry.
        due_ms: when it is due, or when its lease ends.
        form: the digest of the copy that is kept of it, because it was read and is not acknowledged; "" for none.
        deliveries: how often it was delivered, by its copy.
        token: of its lease; "" for none.
        attempts: its last failed attempts, oldest first.
        turn: the event of its key whose turn it is, where it is behind one; `ahead`: how many of its key are before it
            among those that wait for their turn, None where there are too many to count.
        began: the id after which the group began, None where that was not noted.
        passed_over: how many events of the group were skipped, discarded or lost; up to the id `doubtful` (None: to
            none) that may have left no line in the delivery log.
        letters: its dead letters, without their events.
        unlisted: how many dead letters of the group are not listed by their events.
        lines: what the delivery log has of it; `moves`: the moves of the group over it.
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
    """Read where an event is for a group: `StoredPlace`. Neither has to exist."""
    return call(_PLACE, stream, group, [id_], _place, logs=True)


def stored_copy(stream: str, group: str, id_: str) -> Command:
    """Read the names and values of an event from the copy that a group keeps of it; None when it keeps none."""
    words = ("HGET", keyspace.messages(stream, group), f"{id_}:body")
    return Command(words, parse=lambda reply: None if reply is None else netstrings(reply))


def _place(reply: Any) -> StoredPlace:
    now, pending, due, form, deliveries, token, noted, turn, ahead, began, over, doubtful, *rest = reply
    unlisted, lines, moves, *letters = rest
    return StoredPlace(
        now_ms=number(now),
        pending=Holder(consumer=to_text(pending[0]), idle_ms=pending[1], deliveries=pending[2]) if pending else None,
        due_ms=None if due is None else round(float(due)),
        form=to_text(form or b""),
        deliveries=number(deliveries),
        token=to_text(token or b""),
        attempts=attempts_in(noted or b""),
        turn=to_text(turn or b""),
        ahead=ahead,
        began=None if began is None else _whole(to_text(began)),
        passed_over=over,
        doubtful=None if doubtful is None else to_text(doubtful),
        letters=tuple(letter_in(entry) for entry in entries(letters)),
        unlisted=max(0, unlisted),
        lines=tuple(map(line_in, lines)),
        moves=tuple(map(move_in, moves)),
    )


def _whole(id_: str) -> str:
    # A group can begin at “0”, and behind a moment.
    return id_ if "-" in id_ else f"{id_}-0"
