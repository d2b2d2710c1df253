"""What moving a group would do: nothing is changed here."""

from datetime import UTC, datetime

from bridges.groups.checks import hindrance, standing
from streams import connections
from synapse.groups import target_position
from synapse.groups.results import Plan
from synapse.inspection.scan import Scan
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import Conversation
from synapse.redis.commands.groups import END
from synapse.redis.queries import answer, ask
from synapse.wire.ids import (
    EntryId,
    Range,
    following,
    parse,
)


def plan(stream: str, group: str, to: str, *, discard_waiting: bool = False) -> Plan:
    """Say what moving a group to a place would do.

    Raises:
        BadPosition: when `to` is no place.
        UnknownStream, UnknownGroup: when there is none.
        NotAStream, Unavailable: when Redis cannot be used for this.
    """
    after = target_position.asked(to, now=datetime.now(UTC))
    found = standing(stream, group)
    now, then = parse(found.group.last_delivered_id), last_of(stream)
    if after != END:
        then = min(then, target_position.parse_full(after))
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
