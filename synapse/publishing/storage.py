"""The storing part of publishing: from entries to commands, and from their replies to the fate of each entry.

Without a key a bare XADD is enough, and the fastest. With a key, or where a full stream refuses, the check and the
write are one script. Durability beyond the server's memory is waited for behind the writes, in the same pipeline
(synapse.redis.commands.server).
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

# The number of commands that are sent at once in any case; of more, the number and the bytes that are sent at a time.
_FEW_COMMANDS = 20
_PART_COMMANDS, _PART_BYTES = 1000, 256 * 1024


class Stored(NamedTuple):
    """A stored entry: its id, and whether it was stored before under the same key (`repeated`).

    `doubt` says that it is less durable than its stream requires.
    """

    id: str
    repeated: bool = False
    doubt: NotDurable | None = None


Fate = Stored | Problem


def store(
    stream: StreamDefinition,
    entries: _Entries,
    *,
    together: bool = False,
    keys: Sequence[IdempotencyKey] = (),
    all_keyed: bool = False,
) -> Conversation[Sequence[Fate | None]]:
    """Append the entries, and return the outcome of each; None where another entry's fault kept one out.

    `keys` has one for each entry, or, `together`, one for all unless `all_keyed`; it is empty without any.

    Raises:
        EventTooLarge: when entries that are stored together have too many parts; none is stored.
    """
    if is_plain(stream, keyed=bool(keys)):
        return (yield from append(stream, (yield from _packed(stream, entries)), together=together))
    appending = yield from _appending(stream, entries, together=together, keys=keys, all_keyed=all_keyed)
    barrier = barrier_of(stream)
    if together:
        replies = yield [*appending, barrier] if barrier is not None else appending
    else:
        replies = yield from _sent(appending, barrier)
    if barrier is None:
        return (yield from _fates(stream, replies, together=len(entries) if together else 0))
    *replies, count = replies
    fates = yield from _fates(stream, replies, together=len(entries) if together else 0)
    why = shortfall(stream, count)
    if not why:
        return fates
    in_doubt = partial(_in_doubt, stream, why=why, count=count, keyed=bool(keys))
    return (yield from map_cooperatively(fates, in_doubt, at_once=50))


def is_plain(stream: StreamDefinition, *, keyed: bool = False) -> bool:
    """Say whether an event is stored by a bare XADD, with nothing to look at before it or to wait for: the common
    case."""
    return not keyed and stream.when_full == "drop_oldest" and stream.durability == "server"


def is_direct(stream: StreamDefinition, *, keyed: bool = False) -> bool:
    """Say whether an event is stored by one command with nothing to wait for behind it: a bare XADD, or, `keyed`, the
    script of `once`."""
    return stream.durability == "server" and (keyed or stream.when_full == "drop_oldest")


def once(stream: StreamDefinition, key: IdempotencyKey) -> Once:
    """Return how an entry is appended to a stream once under a key."""
    window_ms = _window_ms(stream.idempotency_window)
    return once_under(stream.name, key, window_ms=window_ms, hard_length=stream.refused_length)


def append(
    stream: StreamDefinition, appends: Sequence[Command], *, together: bool = False
) -> Conversation[Sequence[Fate | None]]:
    """Append entries by the given commands, `together` in one transaction, and return the fate of each."""
    if together:
        replies = yield _in_transaction(appends)
        return (yield from _fates(stream, replies, together=len(appends)))
    if len(appends) > 1:
        appends = _script_first(appends)
    if len(appends) <= _FEW_COMMANDS or _size(appends) <= _PART_BYTES:
        replies = yield appends
        return [
            tuple.__new__(Stored, (reply, False, None)) if type(reply) is str else _fate(stream, reply)
            for reply in replies
        ]
    replies = yield from _sent(appends)
    return (yield from map_cooperatively(replies, partial(_appended, stream), at_once=50))


def _appended(stream: StreamDefinition, reply: Any) -> Fate:
    return tuple.__new__(Stored, (reply, False, None)) if type(reply) is str else _fate(stream, reply)


def _sent(appends: Sequence[Command], barrier: Command | None = None) -> Conversation[list[Any]]:
    """Send commands, many of them in parts, and the barrier behind the last; return a reply for each.

    What is sent at once holds up all others on the connection, and a server that syncs each write takes long for much.
    When Redis goes away behind the first part, what it has is known: the others' replies are the failure.

    Raises:
        RedisUnavailable: when it goes away before anything is known.
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
                replies.append(0)  # nothing is known to be stored
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


def _size(commands: Sequence[Command]) -> int:
    return sum([len(each.packed) if each.packed is not None else _size_of_words(each) for each in commands])


def _size_of_words(command: Command) -> int:
    return sum(map(len, map(str, command.words)))


def barrier_of(stream: StreamDefinition) -> Command | None:
    """Return the command that waits for a stream's durability behind a write; None where the server's setup
    is enough."""
    if stream.durability == "server":
        return None
    within_ms = stream.durable_within // timedelta(milliseconds=1)
    if stream.durability == "local":
        return server_commands.wait_for_disk(within_ms=within_ms)
    return server_commands.wait(stream.replicas, within_ms=within_ms)


def shortfall(stream: StreamDefinition, count: int | ReplyError) -> str:
    """Return why the barrier's reply falls short, as half a sentence; empty when enough replicas have the write."""
    if isinstance(count, ReplyError):
        return f"Redis does not say whether it is safe ({count})"
    if count >= _wanted(stream):
        return ""
    if stream.durability == "local":
        return "it was not on Redis' disk in time"
    return f"{count} of the {_wanted(stream)} replicas that it is to be on had it in time"


def _wanted(stream: StreamDefinition) -> int:
    return stream.replicas if stream.durability == "replicated" else 1


def _appending(
    stream: StreamDefinition, entries: _Entries, *, together: bool, keys: Sequence[IdempotencyKey], all_keyed: bool
) -> Conversation[list[Command]]:
    hard_length = stream.refused_length
    if together and all_keyed:
        window_ms = _window_ms(stream.idempotency_window)
        return [
            _bounded(publish_together_once(stream.name, entries, keys, window_ms=window_ms, hard_length=hard_length))
        ]
    if together and (keys or hard_length):
        return [_all_or_none(stream, entries, hard_length, keys)]
    if keys:
        return (yield from _each_once(stream, entries, keys))
    if hard_length:
        return [_all_or_none(stream, [fields], hard_length, keys) for fields in entries]
    appends = yield from _packed(stream, entries)
    return _in_transaction(appends) if together else appends


def _packed(stream: StreamDefinition, entries: _Entries) -> Conversation[list[Command]]:
    return (yield from map_cooperatively(entries, partial(stream_commands.xadd_packed_now, stream.name), at_once=50))


def _in_transaction(appends: Sequence[Command]) -> list[Command]:
    return [stream_commands.multi(), *appends, stream_commands.execute(appends)]


def _all_or_none(
    stream: StreamDefinition, entries: _Entries, hard_length: int, keys: Sequence[IdempotencyKey]
) -> Command:
    key = keys[0] if keys else None
    window_ms = _window_ms(stream.idempotency_window)
    return _bounded(publish_together(stream.name, entries, hard_length=hard_length, key=key, window_ms=window_ms))


def _bounded(command: Command) -> Command:
    if len(command.words) > MAX_WORDS:
        raise EventTooLarge("The batch has too many properties to be stored at once; send it in parts.")
    return command


def _each_once(
    stream: StreamDefinition, entries: _Entries, keys: Sequence[IdempotencyKey]
) -> Conversation[list[Command]]:
    def append(pair: tuple[Sequence[str], IdempotencyKey]) -> Command:
        fields, key = pair
        return append_once(stream.name, fields, once(stream, key))

    return _script_first((yield from map_cooperatively(list(zip(entries, keys, strict=True)), append)))


def _script_first(appends: Sequence[Command]) -> list[Command]:
    """Return the commands, the first with the text of its script: were it missing for some of a batch, these would come
    behind the others."""
    first, *rest = appends
    return [first.otherwise or first, *rest]


@lru_cache(maxsize=64)
def _window_ms(window: timedelta) -> int:
    return window // timedelta(milliseconds=1)


def _fates(stream: StreamDefinition, replies: Sequence[Any], *, together: int) -> Conversation[Sequence[Fate | None]]:
    """Read the replies: one for each entry, or, for so many entries `together`, the last for all."""
    if together:
        done = replies[-1]
        if isinstance(done, BatchStoreResult) and done.ids:
            again = done.again or [done.outcome == "repeated"] * together
            return [Stored(id=id_, repeated=repeated) for id_, repeated in zip(done.ids, again, strict=True)]
        if isinstance(done, BatchStoreResult) and done.place is not None:
            return [_fate(stream, done) if place == done.place else None for place in range(together)]
        if isinstance(done, ReplyError):
            # A transaction is discarded for what Redis said of a command in it: that is the reason to tell.
            done = next(reply for reply in replies if isinstance(reply, ReplyError))
        replies = done if isinstance(done, list) else [done] * together
    return (yield from map_cooperatively(replies, partial(_fate, stream), at_once=50))


def _fate(stream: StreamDefinition, reply: Any) -> Fate:
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
    return _fate_of_script(stream, reply)


def _fate_of_script(stream: StreamDefinition, reply: StoreResult) -> Fate:
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
    stream: StreamDefinition, fate: Fate | None, why: str, count: int | ReplyError, *, keyed: bool
) -> Fate | None:
    if fate is None or isinstance(fate, Problem):
        return fate
    got = 0 if isinstance(count, ReplyError) else count
    return fate._replace(doubt=NotDurable(why, id=fate.id, wanted=_wanted(stream), got=got, keyed=keyed))
