"""Actions on groups. Each is recorded in the database before it is carried out in Redis.

The two cannot share a transaction: a second audit entry states the outcome where it is not known beforehand.
"""

import time
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from bridges import snapshot
from bridges.dead_letters import check_group
from bridges.groups import checks
from bridges.groups.checks import LIVELY_MS, Deleted, Moved, bridge_of, check_idle, check_stream, last_of, status_of
from bridges.models import Bridge
from core import audit
from streams import connections
from synapse.auth.permission import Requirement
from synapse.auth.principal import Principal
from synapse.errors.delivery import GroupExists, GroupInUse, GroupOwed, GroupOwned, GroupUnowned, UnknownGroup
from synapse.formats.text import RULE, is_name
from synapse.problems import BadParameter
from synapse.redis import Command, ReplyError, answer
from synapse.redis.commands import groups as group_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.groups import END, Deletion

MOST_REASON = 500
REQUIRES = Requirement(read=True, scope="groups:write")
# For how long one call moves a group, in seconds.
_BUDGET = 5.0


def create(stream: str, group: str, at: str, *, by: Principal) -> str:
    """Create a group without an owner, and return the id after which it begins: any program may read as it.

    Raises:
        BadParameter: when the name is none.
        BadPosition: when `at` is no position.
        GroupExists, GroupOwned: when there is one, or a bridge will make it.
        Forbidden, UnknownStream, WrongType, RedisUnavailable: as their names say.
    """
    REQUIRES.demand(by, stream)
    check_stream(stream)
    if not is_name(group):
        raise BadParameter(f"A group's name has {RULE}.", parameter="name")
    after = checks.parse_position(at, now=datetime.now(UTC))
    start = "$" if after == END else after
    if bridge := bridge_of(stream, group):
        raise GroupOwned(f"The group “{group}” belongs to the bridge “{bridge.name}”, which makes it when it runs.")
    if any(found.name == group for found in _asked(stream, stream_commands.xinfo_groups(stream), [])):
        raise _there(stream, group)
    _record(by, "create", stream, group, after={"at": at})
    reply = _send(stream_commands.xgroup_create(stream, group, start))
    if isinstance(reply, ReplyError) and reply.code == "BUSYGROUP":
        raise _there(stream, group)
    answer(reply, stream)
    return status_of(stream, group).group.last_delivered_id


def pause(stream: str, group: str, *, by: Principal) -> str:
    """Pause the bridge that reads as a group, or the programs that pull as it, and return the bridge's name.

    Raises:
        GroupUnowned: when neither is so; Synapse does not read for it then.
        UnknownStream, UnknownGroup: when there is none.
        Forbidden: when they may not.
    """
    return _turned(stream, group, by, paused=True)


def resume(stream: str, group: str, *, by: Principal) -> str:
    """Resume a paused group. Returns and raises as `pause` does."""
    return _turned(stream, group, by, paused=False)


def move(stream: str, group: str, to: str, *, by: Principal, discard_waiting: bool = False) -> Moved:
    """Move a group to another position in its stream.

    Unacknowledged events stay, except those that the group will read again and, with `discard_waiting`, those before
    its new position: these are forgotten. Dead letters always stay.

    Raises:
        BadPosition: when `to` is no position in a stream.
        GroupInUse: when its events are being delivered now.
        UnknownStream, UnknownGroup: when there is none.
        Forbidden: when the caller may not act on groups.
        WrongType, RedisUnavailable: when Redis cannot be used for this. Repeating the call continues where it ended.
    """
    REQUIRES.demand(by, stream)
    after = checks.parse_position(to, now=datetime.now(UTC))
    found = status_of(stream, group)
    check_idle(stream, found)
    if after == END:
        # The stream's end at this moment: an end that keeps advancing would never be reached.
        after = str(last_of(stream))
    before = found.group.last_delivered_id
    asked = {"to": to, **({"discard_waiting": True} if discard_waiting else {})}
    _record(by, "move", stream, group, before={"last_delivered_id": before}, after=asked)
    logs = snapshot.holder.keeps_log(stream, group)
    deadline = time.monotonic() + _BUDGET
    cursor, skipped, again = "", 0, 0
    while True:
        moved = _asked(
            stream,
            group_commands.move(
                stream, group, after, forget_owed=discard_waiting, cursor=cursor, actor=str(by), logs=logs
            ),
            None,
        )
        if moved is None:
            raise UnknownGroup(stream, group)
        cursor, skipped, again = moved.cursor, skipped + moved.skipped, again + moved.again
        if not cursor or time.monotonic() >= deadline:
            break
    came_to = {"last_delivered_id": moved.position, "skipped": skipped, "unread_again": again}
    _record(by, "moved", stream, group, before={"last_delivered_id": before}, after=came_to)
    return Moved(before=before, after=moved.position, skipped=skipped, again=again, more=bool(cursor))


def delete(stream: str, group: str, *, by: Principal, force: bool = False, reason: str = "") -> Deleted:
    """Delete a group with everything kept for it, dead letters too. With `force`, also one with a backlog or live
    consumers; that needs a reason.

    Raises:
        BadParameter: when the reason is missing.
        GroupOwned: when an enabled bridge reads as it.
        GroupInUse, GroupOwed: when it has live consumers, or a backlog, and `force` is not given.
        UnknownStream, UnknownGroup: when there is none.
        Forbidden: when they may not.
        WrongType, RedisUnavailable: when Redis cannot be used for this.
    """
    REQUIRES.demand(by, stream)
    check_group(stream, group)
    reason = reason.strip()[:MOST_REASON]
    if force and not reason:
        raise BadParameter("Say why: “reason” is recorded.", parameter="reason")
    bridge = bridge_of(stream, group)
    if bridge is not None and bridge.enabled:
        raise GroupOwned(f"The bridge “{bridge.name}” reads as “{group}”: disable it first.")
    try:
        unread = status_of(stream, group).behind.events
    except UnknownGroup:
        unread = 0
    said: dict[str, Any] = {"forced": force, **({"reason": reason} if reason else {})}
    _record(by, "delete", stream, group, before={"unread": unread}, after=said)
    found: Deletion | None = _asked(
        stream, group_commands.delete(stream, group, lively_ms=LIVELY_MS, force=force), None
    )
    if found is None:
        raise UnknownGroup(stream, group)
    if not found.deleted:
        refused = _refusal(group, found, unread)
        _record(by, "delete", stream, group, after={"refused": refused.detail})
        raise refused
    return Deleted(unread=unread, pending=found.pending, waiting=found.waiting, parked=found.parked, dead=found.dead)


def _refusal(group: str, found: Deletion, unread: int) -> GroupInUse | GroupOwed:
    if found.live:
        return GroupInUse(
            f"{found.live} consumer{'' if found.live == 1 else 's'} of “{group}” asked for events within the last 10 "
            "seconds. Stop them, or use “force” with a “reason”."
        )
    owed = {
        "unread": max(unread, int(found.unread)),
        "pending": found.pending,
        "waiting": found.waiting,
        "parked": found.parked,
        "dead": found.dead,
    }
    return GroupOwed(group, owed)


def _turned(stream: str, group: str, by: Principal, *, paused: bool) -> str:
    REQUIRES.demand(by, stream)
    check_stream(stream)
    with transaction.atomic():
        row = Bridge.objects.select_for_update().filter(stream__name=stream, group=group).first()
        if row is not None and row.paused != paused:
            row.paused = paused
            row.save(update_fields=["paused"])
            action = "pause" if paused else "resume"
            audit.record(by, action, f"bridge {row.name}", before={"paused": not paused}, after={"paused": paused})
    if row is None:
        check_group(stream, group)
        raise GroupUnowned(group)
    return row.name


def _there(stream: str, group: str) -> GroupExists:
    return GroupExists(f"The stream “{stream}” has a group “{group}” already. To give it another position, move it.")


def _record(by: Principal, action: str, stream: str, group: str, *, before: Any = None, after: Any = None) -> None:
    audit.record(by, action, f"group {group} of {stream}", before=before, after=after)


def _asked(stream: str, command: Command, absent: Any) -> Any:
    return answer(_send(command), stream, absent=absent)


def _send(command: Command) -> Any:
    return connections.executor().execute([command])[0]
