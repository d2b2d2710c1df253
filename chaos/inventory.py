"""The state that Redis holds of a run: polled while the run drains, and counted at its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chaos.plan import GROUP, STREAM
from synapse.redis import Command, RedisUnavailable, ReplyError, SyncExecutor, keyspace, value
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import streams as stream_commands

_PAGE = 1000
# What is there when all is done: the stream, what its idempotency keys stand for, counts, and the dead letters.
_REMAINS = (
    STREAM,
    keyspace.stats(STREAM),
    *(name(STREAM, GROUP) for name in (keyspace.counters, keyspace.dead_letters, keyspace.dead_letters_by_event)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """How many events of the group are where. `unread`: whether there is any that no worker has had."""

    unread: bool
    pending: int
    waiting: int
    parked: int
    done: int
    dead: int

    @property
    def is_settled(self) -> bool:
        """Say whether every event of the group is acknowledged or dead."""
        return not (self.unread or self.pending or self.waiting or self.parked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: its event's name, and how many attempts it had."""

    name: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """The final state in Redis. `stored`: the events' names by their ids; `left_over`: keys that should be gone;
    `trimmed`: how many events the scripts counted as lost.
    """

    stored: dict[str, str]
    letters: list[Letter]
    left_over: list[str]
    trimmed: int
    places: EventCounts


def places(executor: SyncExecutor) -> EventCounts | None:
    """Return where the events are, None when Redis or the group cannot be asked now."""
    try:
        info, groups, waiting, counters = executor.execute(
            [
                stream_commands.xinfo_stream(STREAM),
                stream_commands.xinfo_groups(STREAM),
                stream_commands.zcard(keyspace.waiting(STREAM, GROUP)),
                stream_commands.hgetall(keyspace.counters(STREAM, GROUP)),
            ]
        )
    except RedisUnavailable:
        return None
    if any(isinstance(reply, ReplyError) for reply in (info, groups, waiting, counters)):
        return None
    group = next((group for group in groups if group.name == GROUP), None)
    if group is None:
        return None
    return EventCounts(
        unread=group.last_delivered_id != info["last-generated-id"],
        pending=group.pending,
        waiting=waiting,
        parked=int(counters.get("parked", 0)),
        done=int(counters.get("done", 0)),
        dead=int(counters.get("dead", 0)),
    )


def take(executor: SyncExecutor, found: EventCounts) -> FinalState:
    """Read the final state from Redis. `found`: where the events are now."""
    counters: dict[str, Any] = _ask(executor, stream_commands.hgetall(keyspace.counters(STREAM, GROUP)))
    return FinalState(
        stored={entry.id: _name(entry.parts) for entry in _entries(executor)},
        letters=list(_letters(executor)),
        left_over=sorted(
            name
            for name in {*_keys(executor)}.difference(_REMAINS)
            if not name.startswith(keyspace.idempotency(STREAM, ""))
        ),
        trimmed=int(counters.get("lost_trimmed", 0)),
        places=found,
    )


def _entries(executor: SyncExecutor) -> Iterator[stream_commands.Entry]:
    start = stream_commands.FIRST
    while page := _ask(executor, stream_commands.xrange(STREAM, start, stream_commands.LAST, _PAGE)):
        yield from page
        start = f"({page[-1].id}"


def _letters(executor: SyncExecutor) -> Iterator[Letter]:
    past = ""
    while page := _ask(executor, dead_letter_commands.letters(STREAM, GROUP, count=_PAGE, past=past)):
        yield from (Letter(name=_name(letter.parts), attempts=letter.count) for letter in page)
        past = page[-1].id


def _keys(executor: SyncExecutor) -> Iterator[str]:
    cursor = b"0"
    while True:
        cursor, names = _ask(executor, stream_commands.scan(cursor, count=_PAGE))
        yield from names
        if cursor == b"0":
            return


def _name(parts: list[bytes]) -> str:
    return dict(zip(parts[::2], parts[1::2], strict=True))[b"name"].decode()


def _ask(executor: SyncExecutor, command: Command) -> Any:
    return value(executor.execute([command])[0])
