"""Leftovers of deleted streams and groups in Redis: announced before the deletion, listed afterwards, purged on demand.

Deleting a definition deletes nothing in Redis. The backlog of its groups stays there as copies of events, also as dead
letters, and may hold PII.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from core import audit
from streams import connections
from streams.models import Stream
from synapse.auth.principal import Principal
from synapse.formats.text import plural
from synapse.inspection.groups import GroupStatus, owners, statuses_of
from synapse.redis import RedisUnavailable, WrongType, answer, answer_or, ask, keyspace
from synapse.redis.commands import streams as stream_commands
from synapse.redis.sync_executor import keys_of

_DELETED_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """The keys in Redis of one stream or group that the catalog does not define.

    Attributes:
        group: the group; "" for keys of the stream itself.
        keys: the names of the keys.
        events: the number of events in them: a group's copies and dead letters, or the stream's entries.
        is_defined: whether the stream is still in the catalog, and only the group was deleted.
    """

    stream: str
    group: str
    keys: tuple[str, ...]
    events: int
    is_defined: bool

    @property
    def name(self) -> str:
        """Return the name that the command uses: `stream`, or `stream/group`."""
        return f"{self.stream}/{self.group}" if self.group else self.stream


def find_leftovers() -> list[Leftover]:
    """Return all leftovers, ordered by name.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in keys_of(connections.server(), match=keyspace.OF_STREAMS):
        if owner := keyspace.owner_of(name):
            found[owner].append(name)
    # Read after the keys, so that a stream defined in the meantime keeps its keys.
    defined = set(Stream.objects.values_list("name", flat=True))
    reached = owners().keys() | _groups_of({stream for stream, group in found if group} & defined)
    return [
        Leftover(
            stream=stream,
            group=group,
            keys=tuple(sorted(found[stream, group])),
            events=_count_events(stream, group),
            is_defined=stream in defined,
        )
        for stream, group in sorted(found)
        if stream not in defined or (group and (stream, group) not in reached)
    ]


def purge_leftover(leftover: Leftover, *, by: Principal, events: bool = False) -> int:
    """Delete the keys, with `events` also the stream itself if it is not defined, and record it in the audit log.
    Return the number of deleted keys.

    Raises:
        RedisUnavailable: when Redis cannot be used. `find_leftovers` finds the remaining keys again.
    """
    gone = [*leftover.keys, *([leftover.stream] if events and not leftover.group and not leftover.is_defined else [])]
    target = f"group {leftover.group} of {leftover.stream}" if leftover.group else f"stream {leftover.stream}"
    audit.record(by, "purge", target, before={"keys": len(gone), "events": leftover.events})
    executor, deleted = connections.executor(), 0
    for first in range(0, len(gone), _DELETED_AT_ONCE):
        replies = executor.execute([stream_commands.delete(name) for name in gone[first : first + _DELETED_AT_ONCE]])
        deleted += sum(answer(reply, leftover.stream) for reply in replies)
    return deleted


def leftovers_of_group(stream: str, group: str) -> str:
    """Return a sentence about the backlog that stays in Redis when a group's bridge is deleted, "" without a backlog.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    return "".join(_describe_backlog(stream, found) for found in _read_statuses(stream, group))


def leftovers_of_stream(stream: str) -> list[str]:
    """Return sentences about what stays in Redis when a stream is deleted: its events, and the backlogs of its groups.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    events = _count_events(stream, "")
    return [
        *([f"The stream “{stream}” holds {events:,} {plural('event', events)}."] if events else []),
        *(owed for found in _read_statuses(stream, None) if (owed := _describe_backlog(stream, found))),
    ]


def _read_statuses(stream: str, group: str | None) -> list[GroupStatus]:
    try:
        return connections.executor().run(statuses_of(stream, only=group))
    except WrongType:
        return []


def _describe_backlog(stream: str, found: GroupStatus) -> str:
    unread = f"{found.behind.events:,} unread" if found.behind.exact else f"over {found.behind.events:,} unread"
    owed = [
        unread if found.behind.events else "",
        f"{found.group.pending:,} in flight" if found.group.pending else "",
        f"{found.waiting:,} scheduled for retry" if found.waiting else "",
        f"{found.parked:,} blocked by key" if found.parked else "",
        f"{found.dead:,} {plural('dead letter', found.dead)}" if found.dead else "",
    ]
    told = ", ".join(part for part in owed if part)
    return f"The group “{found.group.name}” of “{stream}” has a backlog: {told}." if told else ""


def _groups_of(streams: set[str]) -> set[tuple[str, str]]:
    names = sorted(streams)
    replies = connections.executor().run(ask([stream_commands.xinfo_groups(name) for name in names]))
    return {
        (stream, group.name)
        for stream, reply in zip(names, replies, strict=True)
        for group in answer_or(reply, stream, [])
    }


def _count_events(stream: str, group: str) -> int:
    asked = [stream_commands.xlen(stream)]
    if group:
        asked = [
            stream_commands.xlen(keyspace.dead_letters(stream, group)),
            stream_commands.zcard(keyspace.waiting(stream, group)),
            stream_commands.hgetall(keyspace.counters(stream, group)),
        ]
    first, *more = connections.executor().run(ask(asked))
    waiting, counters = more or (0, {})
    parked = answer_or(counters, stream, {}).get("parked", b"0")
    return sum((answer_or(first, stream, 0), answer_or(waiting, stream, 0), int(parked)))


_STAYS = (
    "That stays in Redis. A group is deleted on the page Groups of its stream, before the stream. manage.py leftovers "
    "lists and purges keys without a definition."
)


def describe_leftovers(left: Callable[[], list[str]]) -> list[str]:
    """Return the sentences of `left`, followed by how to delete the leftovers; nothing without sentences."""
    try:
        said = [sentence for sentence in left() if sentence]
    except RedisUnavailable as problem:
        said = [f"What is left in Redis is not known: {problem.detail}"]
    return [*said, _STAYS] if said else []
