"""The storing part of publishing: from entries to commands, and from their replies to the outcome of each entry.

An entry without an idempotency key is appended by a bare XADD, which is the fastest. With a key, or when a full stream
refuses events, one script checks and appends. When the stream demands more durability than the memory of the server, a
command behind the writes waits for it, in the same pipeline (synapse.redis.commands.server).
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.streams import EventTooLarge, IdempotencyKeyReused, NotDurable, StreamFull
from synapse.http.redis_problems import problem_of
from synapse.problems import Problem
from synapse.redis import (
    Command,
    Conversation,
    RedisFailure,
    RedisRefused,
    RedisUnavailable,
    RedisUnreachable,
    ReplyError,
    WrongType,
    map_cooperatively,
)
from synapse.redis.commands import server as server_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.publishing import (
    MAX_WORDS,
    BatchStoreResult,
    IdempotencyKey,
    Once,
    StoreResult,
    append_once,
    once_under,
    publish_together,
    publish_together_once,
)

_Entries = Sequence[Sequence[str]]

# Up to so many commands are always sent at once. More are sent in parts of at most this many commands and bytes.
_FEW_COMMANDS = 20
_PART_COMMANDS, _PART_BYTES = 1000, 256 * 1024


class Stored(NamedTuple):
    """A stored entry.

    Attributes:
        id: the id of the entry.
        repeated: whether it was stored earlier, under the same key.
        doubt: the problem that it is less durable than its stream demands; None when it is durable enough.
    """

    id: str
    repeated: bool = False
    doubt: NotDurable | None = None


StoreOutcome = Stored | Problem


def store(
    stream: StreamDefinition,
    entries: _Entries,
    *,
    together: bool = False,
    keys: Sequence[IdempotencyKey] = (),
    all_keyed: bool = False,
) -> Conversation[Sequence[StoreOutcome | None]]:
    """Append entries, and return the outcome of each; None for an entry that was left out because of another one.

    Args:
        together: whether to store all entries or none.
        keys: an idempotency key for each entry; with `together`, one key for all entries unless `all_keyed`; or none.

    Raises:
        EventTooLarge: when entries that are stored together have too many parts; none is stored.
    """
    if is_plain(stream, keyed=bool(keys)):
        return (yield from append(stream, (yield from _pack_appends(stream, entries)), together=together))
    appending = yield from _append_commands(stream, entries, together=together, keys=keys, all_keyed=all_keyed)
    barrier = barrier_of(stream)
    if together:
        replies = yield [*appending, barrier] if barrier is not None else appending
    else:
        replies = yield from _send_in_parts(appending, barrier)
    if barrier is None:
        return (yield from _read_replies(stream, replies, together=len(entries) if together else 0))
    *replies, count = replies
    store_outcomes = yield from _read_replies(stream, replies, together=len(entries) if together else 0)
    why = shortfall(stream, count)
    if not why:
        return store_outcomes
    in_doubt = partial(_in_doubt, stream, why=why, count=count, keyed=bool(keys))
    return (yield from map_cooperatively(store_outcomes, in_doubt, at_once=50))


def is_plain(stream: StreamDefinition, *, keyed: bool = False) -> bool:
    """Say whether an event is stored by a bare XADD, without a check before it or a wait behind it: the common case."""
    return not keyed and stream.when_full == "drop_oldest" and stream.durability == "server"


def is_direct(stream: StreamDefinition, *, keyed: bool = False) -> bool:
    """Say whether an event is stored by one command without a wait behind it: a bare XADD, or the script of `once` when
    it is `keyed`."""
    return stream.durability == "server" and (keyed or stream.when_full == "drop_oldest")


def once(stream: StreamDefinition, key: IdempotencyKey) -> Once:
    """Return how an entry is appended to a stream once under a key."""
    window_ms = _window_ms(stream.idempotency_window)
    return once_under(stream.name, key, window_ms=window_ms, hard_length=stream.refused_length)


def append(
    stream: StreamDefinition, appends: Sequence[Command], *, together: bool = False
) -> Conversation[Sequence[StoreOutcome | None]]:
    """Append entries by the given commands, `together` in one transaction, and return the outcome of each."""
    if together:
        replies = yield _in_transaction(appends)
        return (yield from _read_replies(stream, replies, together=len(appends)))
    if len(appends) > 1:
        appends = _script_first(appends)
    if len(appends) <= _FEW_COMMANDS or _bytes_of(appends) <= _PART_BYTES:
        replies = yield appends
        return [
            tuple.__new__(Stored, (reply, False, None)) if type(reply) is str else _read_reply(stream, reply)
            for reply in replies
        ]
    replies = yield from _send_in_parts(appends)
    return (yield from map_cooperatively(replies, partial(_read_append_reply, stream), at_once=50))


def _read_append_reply(stream: StreamDefinition, reply: Any) -> StoreOutcome:
    return tuple.__new__(Stored, (reply, False, None)) if type(reply) is str else _read_reply(stream, reply)


def _send_in_parts(appends: Sequence[Command], barrier: Command | None = None) -> Conversation[list[Any]]:
    """Send commands, in parts when they are many, with the barrier behind the last, and return a reply for each.

    The commands of a part delay all others on the connection, and a server that syncs each write takes long for many.
    When Redis goes away after the first part, the replies so far are kept, and the failure is the reply of the others.

    Raises:
        RedisUnavailable: when Redis goes away before the first reply.
    """
    replies: list[Any] = []
    for part in _parts(appends):
        is_last = len(replies) + len(part) == len(appends)
        try:
            replies += yield [*part, barrier] if is_last and barrier is not None else part
        except RedisUnavailable as failure:
            if not replies:
                raise
            rest = len(appends) - len(replies) - len(part)
            replies += [failure.with_traceback(None)] * len(part)
            replies += [RedisUnreachable("It was not sent: Redis went away while the batch was stored.")] * rest
            if barrier is not None:
                replies.append(0)  # no copy is confirmed
            break
    return replies


def _parts(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    if len(commands) <= _FEW_COMMANDS:
        yield commands
        return
    part: list[Command] = []
    size = 0
    for command in commands:
        part.append(command)
        size += len(command.packed) if command.packed is not None else _size_of_words(command)
        if size >= _PART_BYTES or len(part) == _PART_COMMANDS:
            yield part
            part, size = [], 0
    if part:
        yield part


def _bytes_of(commands: Sequence[Command]) -> int:
    return sum([len(each.packed) if each.packed is not None else _size_of_words(each) for each in commands])


def _size_of_words(command: Command) -> int:
    return sum(map(len, map(str, command.words)))


def barrier_of(stream: StreamDefinition) -> Command | None:
    """Return the command that waits for the durability of a stream behind a write; None when the configuration of the
    server is enough."""
    if stream.durability == "server":
        return None
    within_ms = stream.durable_within // timedelta(milliseconds=1)
    if stream.durability == "local":
        return server_commands.wait_for_disk(within_ms=within_ms)
    return server_commands.wait(stream.replicas, within_ms=within_ms)


def shortfall(stream: StreamDefinition, count: int | ReplyError) -> str:
    """Return why the reply to the barrier is not enough, as a clause; "" when enough replicas have the write."""
    if isinstance(count, ReplyError):
        return f"Redis does not say whether it is safe ({count})"
    if count >= _needed_copies(stream):
        return ""
    if stream.durability == "local":
        return "it was not on Redis' disk in time"
    return f"{count} of the {_needed_copies(stream)} replicas that it is to be on had it in time"


def _needed_copies(stream: StreamDefinition) -> int:
    return stream.replicas if stream.durability == "replicated" else 1


def _append_commands(
    stream: StreamDefinition, entries: _Entries, *, together: bool, keys: Sequence[IdempotencyKey], all_keyed: bool
) -> Conversation[list[Command]]:
    hard_length = stream.refused_length
    if together and all_keyed:
        window_ms = _window_ms(stream.idempotency_window)
        return [
            _check_size(publish_together_once(stream.name, entries, keys, window_ms=window_ms, hard_length=hard_length))
        ]
    if together and (keys or hard_length):
        return [_all_or_none(stream, entries, hard_length, keys)]
    if keys:
        return (yield from _append_each_once(stream, entries, keys))
    if hard_length:
        return [_all_or_none(stream, [fields], hard_length, keys) for fields in entries]
    appends = yield from _pack_appends(stream, entries)
    return _in_transaction(appends) if together else appends


def _pack_appends(stream: StreamDefinition, entries: _Entries) -> Conversation[list[Command]]:
    return (yield from map_cooperatively(entries, partial(stream_commands.xadd_packed_now, stream.name), at_once=50))


def _in_transaction(appends: Sequence[Command]) -> list[Command]:
    return [stream_commands.multi(), *appends, stream_commands.execute(appends)]


def _all_or_none(
    stream: StreamDefinition, entries: _Entries, hard_length: int, keys: Sequence[IdempotencyKey]
) -> Command:
    key = keys[0] if keys else None
    window_ms = _window_ms(stream.idempotency_window)
    return _check_size(publish_together(stream.name, entries, hard_length=hard_length, key=key, window_ms=window_ms))


def _check_size(command: Command) -> Command:
    if len(command.words) > MAX_WORDS:
        raise EventTooLarge("The batch has too many properties to be stored at once; send it in parts.")
    return command


def _append_each_once(
    stream: StreamDefinition, entries: _Entries, keys: Sequence[IdempotencyKey]
) -> Conversation[list[Command]]:
    def append(pair: tuple[Sequence[str], IdempotencyKey]) -> Command:
        fields, key = pair
        return append_once(stream.name, fields, once(stream, key))

    return _script_first((yield from map_cooperatively(list(zip(entries, keys, strict=True)), append)))


def _script_first(appends: Sequence[Command]) -> list[Command]:
    """Return the commands, the first one with the text of its script. If the server did not have the script, the
    commands that failed would be repeated behind those that did not, and the entries would be in another order."""
    first, *rest = appends
    return [first.otherwise or first, *rest]


@lru_cache(maxsize=64)
def _window_ms(window: timedelta) -> int:
    return window // timedelta(milliseconds=1)


def _read_replies(
    stream: StreamDefinition, replies: Sequence[Any], *, together: int
) -> Conversation[Sequence[StoreOutcome | None]]:
    """Return the outcome of each entry. `together` is the number of entries that share the last reply, 0 when each
    entry has a reply of its own."""
    if together:
        done = replies[-1]
        if isinstance(done, BatchStoreResult) and done.ids:
            again = done.again or [done.outcome == "repeated"] * together
            return [Stored(id=id_, repeated=repeated) for id_, repeated in zip(done.ids, again, strict=True)]
        if isinstance(done, BatchStoreResult) and done.place is not None:
            return [_read_reply(stream, done) if place == done.place else None for place in range(together)]
        if isinstance(done, ReplyError):
            # The reply to EXEC only says that the transaction was discarded; the reply to a command in it says why.
            done = next(reply for reply in replies if isinstance(reply, ReplyError))
        replies = done if isinstance(done, list) else [done] * together
    return (yield from map_cooperatively(replies, partial(_read_reply, stream), at_once=50))


def _read_reply(stream: StreamDefinition, reply: Any) -> StoreOutcome:
    if isinstance(reply, RedisFailure):
        return problem_of(reply)
    if isinstance(reply, str):
        return Stored(id=reply)
    if isinstance(reply, ReplyError):
        if reply.code == "WRONGTYPE":
            return problem_of(WrongType(stream.name))
        return problem_of(RedisRefused(f"Redis did not store the event: {reply}."))
    if isinstance(reply, BatchStoreResult):
        reply = StoreResult(outcome=reply.outcome, id=reply.ids[0] if reply.ids else "")
    return _read_script_reply(stream, reply)


def _read_script_reply(stream: StreamDefinition, reply: StoreResult) -> StoreOutcome:
    match reply.outcome:
        case "full":
            return StreamFull(f"The stream “{stream.name}” holds {stream.hard_length} events and takes no more.")
        case "conflict":
            return IdempotencyKeyReused(
                "Something else was sent before under this Idempotency-Key, or as a CloudEvent with this source and id."
                " Send a new event under a new key or with a new id; repeat an event unchanged."
            )
    return Stored(id=reply.id, repeated=reply.outcome == "repeated")


def _in_doubt(
    stream: StreamDefinition, store_outcome: StoreOutcome | None, why: str, count: int | ReplyError, *, keyed: bool
) -> StoreOutcome | None:
    if store_outcome is None or isinstance(store_outcome, Problem):
        return store_outcome
    got = 0 if isinstance(count, ReplyError) else count
    return store_outcome._replace(
        doubt=NotDurable(why, id=store_outcome.id, wanted=_needed_copies(stream), got=got, keyed=keyed)
    )
