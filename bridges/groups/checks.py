"""Check whether an action on a group is allowed now, and plan moves of its position. Nothing is changed here."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from bridges.models import Bridge
from bridges.snapshot import definition_of
from streams import connections
from streams.snapshot import holder
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.status import fresh_statuses
from synapse.errors.delivery import BadPosition, GroupInUse, UnknownGroup
from synapse.errors.streams import UnknownStream
from synapse.inspection.groups import GroupStatus, statuses_of
from synapse.inspection.range_query import Scan
from synapse.redis import Conversation, ReplyError, answer, ask
from synapse.redis.commands import participants
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.groups import END
from synapse.wire.ids import EntryId, Range, following, parse, start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveEffect:
    """The effect of moving a group.

    The group continues after the id `before` now, and after `after` then. `skips` unread events would not be delivered,
    and `repeats` read ones would be unread again; both are counted to 10,000, and are `exact` unless there are more.
    `pending`, `waiting` and `parked` events are unacknowledged. They stay, except those that become unread again and,
    with `discards`, those up to `after`, which are dropped. `hindrance` is the reason for which the group cannot be
    moved now, "" without one.
    """

    before: str
    after: str
    skips: int
    repeats: int
    exact: bool
    pending: int
    waiting: int
    parked: int
    dead: int
    discards: bool
    hindrance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The result of moving a group: `skipped` events will not be delivered to it, and `again` unacknowledged ones
    became unread. With `more`, the move is not complete; repeat it to continue.
    """

    before: str
    after: str
    skipped: int
    again: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The backlog that a deleted group had; unread events are counted to a limit."""

    unread: int
    pending: int
    waiting: int
    parked: int
    dead: int


def parse_position(text: str, *, now: datetime) -> str:
    """Return the id after which a group at this position continues, or `END`.

    `text` is `beginning`, `end` (or `new`), an entry's id, or a time; an entry of that id or time is included.

    Raises:
        BadPosition: for any other text, and for a time or id in the future.
    """
    if text in ("end", "new"):
        return END
    after = start_of(text, now=now)
    if parse_full(after).ms > now.timestamp() * 1000 + 1:
        raise BadPosition(f"“{text[:100]}” is in the future. To continue with events published from now on: end.")
    return str(parse_full(after))


def parse_full(id_: str) -> EntryId:
    """Parse an id, also one without its second part."""
    return parse(id_ if "-" in id_ else f"{id_}-0")


# A consumer that is silent for longer than this, in milliseconds, does not read.
LIVELY_MS = 10_000
# The states of a bridge's process without events in flight.
_AT_REST = ("paused", "failed")


def check_stream(stream: str) -> None:
    """Check that the stream is defined.

    Raises:
        UnknownStream: when it is not.
    """
    if stream not in holder.current().streams:
        raise UnknownStream(stream)


def status_of(stream: str, group: str) -> GroupStatus:
    """Return the status of a group.

    Raises:
        UnknownStream, UnknownGroup: when it does not exist.
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    check_stream(stream)
    found = connections.executor().run(statuses_of(stream, only=group))
    if not found:
        raise UnknownGroup(stream, group)
    return found[0]


def bridge_of(stream: str, group: str) -> BridgeDefinition | None:
    """Return the bridge that reads as a group, as the database defines it now."""
    row = Bridge.objects.select_related("stream").filter(stream__name=stream, group=group).first()
    return None if row is None else definition_of(row)


def check_idle(stream: str, found: GroupStatus) -> None:
    """Check that no consumer of the group is active.

    The group's bridge must be paused or disabled, and its processes must have stopped delivering. The consumers of a
    group without a bridge must be silent.

    Raises:
        GroupInUse: when one is active.
    """
    group = found.group.name
    bridge = bridge_of(stream, group)
    if bridge is None:
        live = [one.name for one in found.members if one.idle < LIVELY_MS]
        if live:
            raise GroupInUse(f"{_join_names(live)} read as “{group}” within the last 10 seconds: stop them first.")
        return
    if bridge.enabled and not bridge.paused:
        raise GroupInUse(f"The bridge “{bridge.name}” delivers the events of “{group}”: pause it first.")
    if busy := _busy_processes(stream, group):
        raise GroupInUse(
            f"Some processes still deliver the events of “{group}”: {_join_names(busy)}. Try again in a few seconds."
        )


def move_obstacle(stream: str, found: GroupStatus) -> str:
    """Return the reason for which the group cannot be moved now, "" without one."""
    try:
        check_idle(stream, found)
    except GroupInUse as problem:
        return problem.detail
    return ""


def _busy_processes(stream: str, group: str) -> list[str]:
    said, beats, now_ms = connections.executor().run(
        ask(
            [
                participants.read_reports(stream, group),
                participants.read_heartbeats(),
                participants.read_time(),
            ]
        )
    )
    if isinstance(now_ms, ReplyError):
        now_ms = int(time.time() * 1000)
    statuses = {} if isinstance(said, ReplyError) else fresh_statuses(said, beats, now_ms)
    return [name for name, status in statuses.items() if status.state not in _AT_REST]


def _join_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def plan_move(stream: str, group: str, to: str, *, discard_waiting: bool = False) -> MoveEffect:
    """Return the effect of moving a group to a position.

    Raises:
        BadPosition: when `to` is no position.
        UnknownStream, UnknownGroup: when it does not exist.
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    after = parse_position(to, now=datetime.now(UTC))
    found = status_of(stream, group)
    now, then = parse(found.group.last_delivered_id), last_of(stream)
    if after != END:
        then = min(then, parse_full(after))
    between = Range(first=following(min(now, then)), last=max(now, then))
    scan = connections.executor().run(_count_entries(stream, between))
    return MoveEffect(
        before=str(now),
        after=str(then),
        skips=scan.entries if then > now else 0,
        repeats=scan.entries if then < now else 0,
        exact=scan.exhausted,
        pending=found.group.pending,
        waiting=found.waiting,
        parked=found.parked,
        dead=found.dead,
        discards=discard_waiting,
        hindrance=move_obstacle(stream, found),
    )


def last_of(stream: str) -> EntryId:
    """Return the id of the latest entry that a stream had."""
    (reply,) = connections.executor().run(ask([stream_commands.xinfo_stream(stream)]))
    return parse(answer(reply, stream, absent={"last-generated-id": "0-0"})["last-generated-id"])


def _count_entries(stream: str, part: Range) -> Conversation[Scan]:
    scan = Scan(stream, part)
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        scan.take_chunk(answer(reply, stream, absent=[]))
    return scan
