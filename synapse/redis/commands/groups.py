"""The commands with which a person moves, deletes and inspects a group."""

from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script
from synapse.redis.commands.delivery import KEPT, call
from synapse.redis.commands.delivery_log import MAX_NAME
from synapse.redis.commands.streams import FIRST, LAST, to_text

_MOVE, _DELETE = load_script("move"), load_script("delete")

# The entries that one call skips at most, and the unacknowledged ones that it reads. Redis serves no other client
# meanwhile.
SKIPPED_AT_ONCE, LOOKED_AT_ONCE = 2000, 500
# The end of a stream as the target of a move.
END = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """The result of one call.

    `cursor` is where the next call continues, "" when the move is finished. `skipped` counts events that the group will
    not get, `again` unacknowledged events that are unread again. `position` is the id after which the group continues.
    """

    cursor: str
    skipped: int
    again: int
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The result of deleting a group: whether it was deleted, and its backlog.

    The backlog is whether any event is unread, and the numbers of events that are pending, scheduled for retry, blocked
    by key and dead. It also has the number of live consumers.
    """

    deleted: bool
    unread: bool
    pending: int
    waiting: int
    parked: int
    dead: int
    live: int


def move(
    stream: str,
    group: str,
    after: str,
    *,
    forget_owed: bool = False,
    cursor: str = "",
    skips: int = SKIPPED_AT_ONCE,
    looks: int = LOOKED_AT_ONCE,
    actor: str = "",
    logs: bool = False,
) -> Command:
    """Move a group to an id, or to the `END`: `MoveResult`. One call does a part; the next one continues at its
    `cursor`.

    Unacknowledged events stay, unless they become unread again; with `forget_owed`, those up to `after` are dropped.
    Repeating the move from the beginning changes nothing more. With `logs`, the delivery log names the actor.
    """
    arguments: list[Argument] = [after, int(forget_owed), skips, looks, cursor, actor[:MAX_NAME]]
    return call(_MOVE, stream, group, arguments, _parse_move, logs=logs)


def delete(stream: str, group: str, *, lively_ms: int, force: bool = False) -> Command:
    """Delete a group and all its data: `Deletion`. A group with a backlog, or with a consumer that was active within
    `lively_ms`, is deleted only with `force`.
    """
    script_keys = [
        stream,
        *(name(stream, group) for name in KEPT),
        keyspace.delivery_log(stream, group),
        keyspace.reports(stream, group),
        keyspace.pins(stream),
    ]
    return _DELETE.call(script_keys, [group, keyspace.queues(stream), int(force), lively_ms], parse=_parse_deletion)


def oldest_pending(stream: str, group: str) -> Command:
    """Read the id of the oldest pending event, "" when none is pending."""
    words = ("XPENDING", stream, group, FIRST, LAST, 1)
    return Command(words, parse=lambda reply: to_text(reply[0][0]) if reply else "")


def first_waiting(stream: str, group: str, *, count: int) -> Command:
    """Read the ids of the waiting events that are due first."""
    words = ("ZRANGE", keyspace.waiting(stream, group), 0, count - 1)
    return Command(words, parse=lambda reply: [to_text(id_) for id_ in reply])


def _parse_move(reply: Any) -> MoveResult:
    cursor, skipped, again, position = reply
    return MoveResult(cursor=to_text(cursor), skipped=skipped, again=again, position=to_text(position))


def _parse_deletion(reply: Any) -> Deletion:
    deleted, unread, pending, waiting, parked, dead, live = reply
    return Deletion(
        deleted=deleted == 1,
        unread=unread > 0,
        pending=pending,
        waiting=waiting,
        parked=parked,
        dead=dead,
        live=live,
    )
