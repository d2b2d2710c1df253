"""Check whether an action on a group is allowed now, and plan a move of its position; nothing is changed here."""

import time
from datetime import UTC, datetime

from bridges.models import Bridge
from bridges.snapshot import definition_of
from streams import connections
from streams.snapshot import holder
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.bridge_stats import fresh_statuses
from synapse.errors.delivery import GroupInUse, UnknownGroup
from synapse.errors.streams import UnknownStream
from synapse.groups import results
from synapse.groups.results import Plan
from synapse.inspection.groups import Standing, standings
from synapse.inspection.range_query import Scan
from synapse.redis import ReplyError
from synapse.redis.commands import consumer_status as consumer_status_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import Conversation
from synapse.redis.commands.groups import END
from synapse.redis.queries import answer, ask
from synapse.wire.ids import EntryId, Range, following, parse

# A consumer that reads is never silent for longer.
LIVELY_MS = 10_000
# What a process of a bridge says of itself when it has no event in hand.
_AT_REST = ("paused", "failed")


def check_stream(stream: str) -> None:
    """Make sure that the stream is defined.

    Raises:
        UnknownStream: when it is not.
    """
    if stream not in holder.current().streams:
        raise UnknownStream(stream)


def standing(stream: str, group: str) -> Standing:
    """Return how a group is.

    Raises:
        UnknownStream, UnknownGroup: when there is none.
        NotAStream, Unavailable: when Redis cannot be used for this.
    """
    check_stream(stream)
    found = connections.executor().run(standings(stream, only=group))
    if not found:
        raise UnknownGroup(stream, group)
    return found[0]


def bridge_of(stream: str, group: str) -> BridgeDefinition | None:
    """Return the bridge that reads as a group, as it is defined this moment: what other processes know may be older."""
    row = Bridge.objects.select_related("stream").filter(stream__name=stream, group=group).first()
    return None if row is None else definition_of(row)


def check_at_rest(stream: str, found: Standing) -> None:
    """Make sure that nobody delivers the group's events now: its bridge is paused or disabled, and its processes know;
    or, where it is no bridge's, its consumers are silent.

    Raises:
        GroupInUse: when somebody does.
    """
    group = found.group.name
    bridge = bridge_of(stream, group)
    if bridge is None:
        live = [one.name for one in found.members if one.idle < LIVELY_MS]
        if live:
            raise GroupInUse(f"{_named(live)} read as “{group}” within the last 10 seconds: stop them first.")
        return
    if bridge.enabled and not bridge.paused:
        raise GroupInUse(f"The bridge “{bridge.name}” delivers the events of “{group}”: pause it first.")
    if busy := _at_work(stream, group):
        raise GroupInUse(
            f"{_named(busy)} had not put down the work for “{group}” when last heard of. That takes a few seconds: try "
            "again."
        )


def hindrance(stream: str, found: Standing) -> str:
    """Return why the group cannot be moved now, "" when it can."""
    try:
        check_at_rest(stream, found)
    except GroupInUse as problem:
        return problem.detail
    return ""


def _at_work(stream: str, group: str) -> list[str]:
    said, beats, now_ms = connections.executor().run(
        ask(
            [
                consumer_status_commands.reports(stream, group),
                consumer_status_commands.beats(),
                consumer_status_commands.now(),
            ]
        )
    )
    if isinstance(now_ms, ReplyError):
        now_ms = int(time.time() * 1000)
    statuses = {} if isinstance(said, ReplyError) else fresh_statuses(said, beats, now_ms)
    return [name for name, status in statuses.items() if status.state not in _AT_REST]


def _named(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def plan(stream: str, group: str, to: str, *, discard_waiting: bool = False) -> Plan:
    """Say what moving a group to a place would do.

    Raises:
        BadPosition: when `to` is no place.
        UnknownStream, UnknownGroup: when there is none.
        NotAStream, Unavailable: when Redis cannot be used for this.
    """
    after = results.asked(to, now=datetime.now(UTC))
    found = standing(stream, group)
    now, then = parse(found.group.last_delivered_id), last_of(stream)
    if after != END:
        then = min(then, results.parse_full(after))
    between = Range(first=following(min(now, then)), last=max(now, then))
    scan = connections.executor().run(_counted(stream, between))
    return Plan(
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
        hindrance=hindrance(stream, found),
    )


def last_of(stream: str) -> EntryId:
    """Return the id of the latest entry that a stream had."""
    (reply,) = connections.executor().run(ask([stream_commands.xinfo_stream(stream)]))
    return parse(answer(reply, stream, absent={"last-generated-id": "0-0"})["last-generated-id"])


def _counted(stream: str, part: Range) -> Conversation[Scan]:
    scan = Scan(stream, part)
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        scan.take(answer(reply, stream, absent=[]))
    return scan
