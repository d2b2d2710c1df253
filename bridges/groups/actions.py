"""Actions on groups. Each is recorded in the audit log before it runs in Redis.

The two cannot share a transaction. Where the outcome is not known beforehand, a second audit entry states it.
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
# The seconds that one call spends on moving a group.
_BUDGET = 5.0


def create(stream: str, group: str, at: str, *, by: Principal) -> str:
    """Create a group without an owner, as which any program may read. Return the id after which it begins.

    Raises:
        BadParameter: when the name is invalid.
        BadPosition: when `at` is no position.
        GroupExists, GroupOwned: when the group exists, or a bridge will create it.
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
    if any(found.name == group for found in _run_command(stream, stream_commands.xinfo_groups(stream), [])):
        raise _already_exists(stream, group)
    _record_action(by, "create", stream, group, after={"at": at})
    reply = _send_command(stream_commands.xgroup_create(stream, group, start))
    if isinstance(reply, ReplyError) and reply.code == "BUSYGROUP":
        raise _already_exists(stream, group)
    answer(reply, stream)
    return status_of(stream, group).group.last_delivered_id


def pause(stream: str, group: str, *, by: Principal) -> str:
    """Pause delivery to the bridge that reads as a group, or to the programs that pull as it. Return the bridge's name.

    Raises:
        GroupUnowned: when no bridge belongs to the group, so that Synapse does not deliver its events.
        UnknownStream, UnknownGroup: when it does not exist.
        Forbidden: when the caller may not act on groups.
    """
    return _set_paused(stream, group, by, paused=True)


def resume(stream: str, group: str, *, by: Principal) -> str:
    """Resume a paused group. Returns and raises as `pause` does."""
    return _set_paused(stream, group, by, paused=False)


def move(stream: str, group: str, to: str, *, by: Principal, discard_waiting: bool = False) -> Moved:
    """Move a group to another position in its stream.

    Unacknowledged events stay, except those that the group will read again. With `discard_waiting`, those before the
    new position are dropped as well. Dead letters always stay.

    Raises:
        BadPosition: when `to` is no position in a stream.
        GroupInUse: when its events are being delivered now.
        UnknownStream, UnknownGroup: when it does not exist.
        Forbidden: when the caller may not act on groups.
        WrongType, RedisUnavailable: when Redis cannot be used for this. Repeating the call continues where it ended.
    """
    REQUIRES.demand(by, stream)
    after = checks.parse_position(to, now=datetime.now(UTC))
    found = status_of(stream, group)
    check_idle(stream, found)
    if after == END:
        # The present end of the stream: an end that keeps advancing would never be reached.
        after = str(last_of(stream))
    before = found.group.last_delivered_id
    asked = {"to": to, **({"discard_waiting": True} if discard_waiting else {})}
    _record_action(by, "move", stream, group, before={"last_delivered_id": before}, after=asked)
    logs = snapshot.holder.keeps_log(stream, group)
    deadline = time.monotonic() + _BUDGET
    cursor, skipped, again = "", 0, 0
    while True:
        moved = _run_command(
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
    _record_action(by, "moved", stream, group, before={"last_delivered_id": before}, after=came_to)
    return Moved(before=before, after=moved.position, skipped=skipped, again=again, more=bool(cursor))


def delete(stream: str, group: str, *, by: Principal, force: bool = False, reason: str = "") -> Deleted:
    """Delete a group with everything stored for it, also dead letters. With `force`, which takes a reason, also delete
    one with a backlog or live consumers.

    Raises:
        BadParameter: when the reason is missing.
        GroupOwned: when an enabled bridge reads as the group.
        GroupInUse, GroupOwed: when it has live consumers, or a backlog, and `force` is false.
        UnknownStream, UnknownGroup: when it does not exist.
        Forbidden: when the caller may not act on groups.
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
    _record_action(by, "delete", stream, group, before={"unread": unread}, after=said)
    found: Deletion | None = _run_command(
        stream, group_commands.delete(stream, group, lively_ms=LIVELY_MS, force=force), None
    )
    if found is None:
        raise UnknownGroup(stream, group)
    if not found.deleted:
        refused = _refusal_of(group, found, unread)
        _record_action(by, "delete", stream, group, after={"refused": refused.detail})
        raise refused
    return Deleted(unread=unread, pending=found.pending, waiting=found.waiting, parked=found.parked, dead=found.dead)


def _refusal_of(group: str, found: Deletion, unread: int) -> GroupInUse | GroupOwed:
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


def _set_paused(stream: str, group: str, by: Principal, *, paused: bool) -> str:
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


def _already_exists(stream: str, group: str) -> GroupExists:
    return GroupExists(f"The stream “{stream}” has a group “{group}” already. To give it another position, move it.")


def _record_action(
    by: Principal, action: str, stream: str, group: str, *, before: Any = None, after: Any = None
) -> None:
    audit.record(by, action, f"group {group} of {stream}", before=before, after=after)


def _run_command(stream: str, command: Command, absent: Any) -> Any:
    return answer(_send_command(command), stream, absent=absent)


def _send_command(command: Command) -> Any:
    return connections.executor().execute([command])[0]
