"""The stream commands that Synapse uses. All exist since Redis 6.2. `trim` is for the janitor."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import hiredis

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

FIRST, LAST = "-", "+"


class Entry(NamedTuple):
    """One entry of a stream: its id and its fields as Redis returns them, names and values alternating.

    `parts` is empty for an entry that was trimmed or deleted before a group acknowledged it.
    """

    id: str
    parts: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A consumer group as XINFO GROUPS reports it. Redis' own `lag` is left out: it is wrong after deletions."""

    name: str
    consumers: int
    pending: int
    last_delivered_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A consumer as XINFO CONSUMERS reports it; `idle` in milliseconds."""

    name: str
    pending: int
    idle: int


def ping() -> Command:
    return Command(("PING",), parse=to_text)


def xadd(stream: str, fields: Sequence[str]) -> Command:
    """Append an entry; the reply is its id."""
    return Command(("XADD", stream, "*", *fields), parse=to_text)


def xadd_packed_now(stream: str, fields: Sequence[str]) -> Command:
    """Return the command of `xadd`, packed already: many words take several times the memory of their packed bytes."""
    return packed_xadd(stream, hiredis.pack_command(xadd(stream, fields).words))  # type: ignore[arg-type]


def packed_xadd(stream: str, packed: bytes) -> Command:
    """Return the XADD of an entry that is packed already, joined with the rest of the command."""
    # Built with the tuple's own constructor, as elsewhere for each event: calling the type takes twice as long.
    return tuple.__new__(Command, (("XADD", stream), to_text, None, False, packed))


def xlen(stream: str) -> Command:
    return Command(("XLEN", stream))


def xrange(stream: str, start: str, end: str, count: int) -> Command:
    """Read entries, oldest first."""
    return Command(("XRANGE", stream, start, end, "COUNT", count), parse=entries)


def xrevrange(stream: str, end: str, start: str, count: int) -> Command:
    """Read entries, newest first."""
    return Command(("XREVRANGE", stream, end, start, "COUNT", count), parse=entries)


def xinfo_stream(stream: str) -> Command:
    """Read XINFO STREAM with Redis' own names. Entries are `Entry`s."""
    return Command(("XINFO", "STREAM", stream), parse=_stream_info)


def xinfo_groups(stream: str) -> Command:
    return Command(("XINFO", "GROUPS", stream), parse=_groups)


def xinfo_consumers(stream: str, group: str) -> Command:
    return Command(("XINFO", "CONSUMERS", stream, group), parse=_consumers)


def xgroup_create(stream: str, group: str, start: str) -> Command:
    """Create a group, and the stream when it does not exist. The reply is an error BUSYGROUP when the group exists."""
    return Command(("XGROUP", "CREATE", stream, group, start, "MKSTREAM"))


def xgroup_destroy(stream: str, group: str) -> Command:
    return Command(("XGROUP", "DESTROY", stream, group))


def xreadgroup(stream: str, group: str, consumer: str, *, count: int, block_ms: int) -> Command:
    """Read entries that no consumer of the group has read. Waits up to `block_ms` for the first; 0 does not wait."""
    block = ("BLOCK", block_ms) if block_ms else ()
    words = ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *block, "STREAMS", stream, ">")
    return Command(words, parse=_only_stream)


def xread(stream: str, after: str, *, count: int, block_ms: int) -> Command:
    """Read entries after an id, without a group. Waits up to `block_ms` for the first; 0 does not wait."""
    block = ("BLOCK", block_ms) if block_ms else ()
    return Command(("XREAD", "COUNT", count, *block, "STREAMS", stream, after), parse=_only_stream)


def key_type(key: str) -> Command:
    """Read the type of a key: "stream", another type, or "none" when the key does not exist."""
    return Command(("TYPE", key), parse=to_text)


def scan(cursor: bytes, *, count: int, match: str = "*") -> Command:
    """Read some of the server's keys. The reply is the cursor to continue with (b"0" at the end), and the names. Begin
    with b"0".
    """
    words = ("SCAN", cursor, "MATCH", match, "COUNT", count)
    return Command(words, parse=lambda reply: (reply[0], [to_text(name) for name in reply[1]]))


def delete(key: str) -> Command:
    """Delete a key. The reply is 1 when it existed."""
    return Command(("DEL", key))


def hgetall(key: str) -> Command:
    return Command(("HGETALL", key), parse=_pairs)


def hset(key: str, field: str, text: str) -> Command:
    return Command(("HSET", key, field, text))


def expire(key: str, seconds: int) -> Command:
    return Command(("EXPIRE", key, seconds))


def hincrby(key: str, field: str, by: int) -> Command:
    return Command(("HINCRBY", key, field, by))


def zcard(key: str) -> Command:
    return Command(("ZCARD", key))


def lowest_score(key: str) -> Command:
    """Read the lowest score of a sorted set, None when it is empty."""
    words = ("ZRANGE", key, 0, 0, "WITHSCORES")
    return Command(words, parse=lambda reply: float(reply[1]) if reply else None)


def multi() -> Command:
    return Command(("MULTI",))


def execute(parsers: Sequence[Command]) -> Command:
    """End a transaction; the reply is the list of its commands' replies."""

    def parse(reply: Any) -> list[Any]:
        return [command.parse_reply(part) for command, part in zip(parsers, reply, strict=True)]

    return Command(("EXEC",), parse=parse)


def entries(reply: Any) -> list[Entry]:
    """Parse a list of entries."""
    return [Entry(to_text(row[0]), row[1] or []) for row in reply or [] if row is not None]


def to_text(reply: Any) -> str:
    """Return the text of a reply."""
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)


def _pairs(reply: Any) -> dict[str, Any]:
    return {to_text(name): content for name, content in zip(reply[::2], reply[1::2], strict=True)}


def _stream_info(reply: Any) -> dict[str, Any]:
    info = _pairs(reply)
    for name in ("first-entry", "last-entry"):
        row = info.get(name)
        info[name] = Entry(to_text(row[0]), row[1] or []) if row else None
    return {name: to_text(found) if isinstance(found, bytes) else found for name, found in info.items()}


def _groups(reply: Any) -> list[Group]:
    return [
        Group(
            name=to_text(row["name"]),
            consumers=row["consumers"],
            pending=row["pending"],
            last_delivered_id=to_text(row["last-delivered-id"]),
        )
        for row in map(_pairs, reply)
    ]


def _consumers(reply: Any) -> list[Consumer]:
    return [Consumer(name=to_text(row["name"]), pending=row["pending"], idle=row["idle"]) for row in map(_pairs, reply)]


def _only_stream(reply: Any) -> list[Entry]:
    return entries(reply[0][1]) if reply else []


_TRIM = load_script("trim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a stream.

    `max_length` and `max_age_ms` (0 for any age) limit the entries that no group needs. Beyond `hard_length` (0 for no
    limit), unacknowledged entries are trimmed, too. A group that is not durable holds nothing back after a silence of
    `pin_for_ms`.
    """

    max_length: int
    max_age_ms: int = 0
    hard_length: int = 0
    pin_for_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimResult:
    """The result of one call: the number of trimmed entries, whether there is more to do at once, and the stream's
    groups.

    `length` is the number of entries that are left. `expires_ms` is the time until the oldest of them is too old; None
    for an empty stream, or without a maximum age.
    """

    cut: int
    more: bool
    length: int
    expires_ms: int | None
    groups: tuple[bytes, ...]


def trim(
    stream: str, limits: Limits, *, groups: Sequence[bytes] = (), durable: Collection[str] = (), room: int
) -> Command:
    """Trim at most `room` entries by which a stream exceeds its limits: `TrimResult`.

    `groups` are the stream's groups in the last reply, because their counters have to be declared as keys. When one is
    missing, nothing is trimmed, and the reply names all groups. Names are bytes, because other programs may use any.
    """
    arguments: list[Argument] = [
        limits.max_length,
        limits.max_age_ms,
        limits.hard_length,
        limits.pin_for_ms,
        room,
    ]
    counters = []
    for group in groups:
        # A name that is not valid UTF-8 is decoded with replacements, as wherever a group's counters are shown.
        name = group.decode("utf-8", "replace")
        counters.append(keyspace.counters(stream, name))
        arguments += [group, int(name in durable)]
    return _TRIM.call([stream, keyspace.stats(stream), keyspace.pins(stream), *counters], arguments, parse=_parse_trim)


def _parse_trim(reply: Any) -> TrimResult:
    cut, more, length, expires, groups = reply
    return TrimResult(
        cut=cut, more=bool(more), length=length, expires_ms=None if expires < 0 else expires, groups=tuple(groups)
    )
