"""The sampler's commands: samples of streams and groups, and blocks of history."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import hiredis

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_SAMPLE = load_script("sample")
_COUNT_BETWEEN = load_script("count_between")


class StreamSample(NamedTuple):
    """A stream at one moment; `added` and `memory` are -1 where Redis does not report them."""

    length: int
    last_id: str
    added: int
    deleted_id: str
    first_id: str
    memory: int


class Sample(NamedTuple):
    """A sample of a stream and its groups, as Redis sends it: unchanged parts need not be parsed again.

    Attributes:
        stream: what `stream_sample` reads.
        names: the names of all groups.
        groups: what `group_sample` reads, of each group that was asked for; empty for one that is not there.
    """

    stream: list[Any]
    names: list[bytes]
    groups: list[bytes]


class GroupSample(NamedTuple):
    """A group at one moment; `counters` are those that were asked for, in their order."""

    delivered_id: str
    pending: int
    waiting: int
    dead: int
    counters: list[int]


class RangeCount(NamedTuple):
    """The entries of a range of ids: the id of the first ("" without any), and how many were counted."""

    first_id: str
    size: int


def sample(stream: str, *, memory: bool) -> Command:
    """Sample a stream without its groups; the reply is a `StreamSample`. `memory` costs Redis a little more."""
    return _SAMPLE.call([stream], [int(memory), 0], parse=stream_sample)


def sample_with_groups(stream: str, groups: Mapping[str, bytes], fields: Sequence[str], *, memory: bool) -> Command:
    """Sample a stream and groups, with these fields of the groups' counters; the reply is a `Sample`.

    Args:
        stream: its name.
        groups: by its name as text the name that each group has in Redis.
        fields: those of the counters.
        memory: whether to measure its memory too, which costs Redis a little more.
    """
    keys = [stream]
    for group in groups:
        keys += (
            keyspace.counters(stream, group),
            keyspace.waiting(stream, group),
            keyspace.dead_letters(stream, group),
        )
    return _SAMPLE.call(keys, [int(memory), len(fields), *fields, *groups.values()], parse=_sample)


def stream_sample(row: Sequence[Any]) -> StreamSample:
    """Read the part of a sample that is of the stream itself."""
    length, last_id, added, deleted_id, first_id, memory, *_ = row
    return StreamSample(length, last_id.decode(), added, deleted_id.decode(), first_id.decode(), memory)


def hash_items(key: str) -> Command:
    """Read a hash as Redis sends it, names and values in turn: to see whether it is another than before."""
    return Command(("HGETALL", key))


def group_sample(text: bytes, fields: int) -> GroupSample:
    """Read the part of a sample that is of a group, with so many counters."""
    delivered_id, pending, waiting, dead, *counters = text.split(b"\0")
    # A foreign key in place of ours counts nothing; it is no reason to fail.
    counted = [*map(number, counters)] if len(counters) == fields else [0] * fields
    return GroupSample(delivered_id.decode(), int(pending), int(waiting), int(dead), counted)


def count_between(stream: str, ranges: Sequence[tuple[str, str, int]]) -> Command:
    """Count the entries of ranges of ids, each up to its limit; the reply has a `RangeCount` for each range."""
    arguments: list[Argument] = [part for each in ranges for part in each]
    return _COUNT_BETWEEN.call([stream], arguments, parse=_between)


def packed(command: Command) -> Command:
    """Return a command that is sent often as one that is packed once."""
    return command._replace(packed=hiredis.pack_command(command.words))  # type: ignore[arg-type]


def block(stream: str, seconds: int, name: int | str) -> Command:
    """Read a block of a stream's history, None when there is none."""
    return Command(("GET", keyspace.history(stream, seconds, name)))


def has_block(stream: str, seconds: int, name: int | str) -> Command:
    """Ask whether there is a block of a stream's history."""
    return Command(("EXISTS", keyspace.history(stream, seconds, name)), parse=bool)


def keep_block(stream: str, seconds: int, name: int | str, data: bytes, *, until: int) -> Command:
    """Write a block of a stream's history, which goes by itself at a moment in seconds since 1970."""
    return Command(("SET", keyspace.history(stream, seconds, name), data, "EXAT", until))


def keep_latest_sample(data: bytes) -> Command:
    """Write the latest sample, for a minute."""
    return Command(("SET", keyspace.LATEST_SAMPLE, data, "EX", 60))


def latest_sample() -> Command:
    """Read the latest sample, None when there is none."""
    return Command(("GET", keyspace.LATEST_SAMPLE))


def number(text: bytes | None) -> int:
    """Return a counter's number, 0 for a text that is no number: foreign text counts nothing."""
    return int(text) if text and text.isdigit() and len(text) < 19 else 0


def _sample(reply: Any) -> Sample:
    return Sample(reply[:6], reply[6], reply[7:])


def _between(reply: Any) -> list[RangeCount]:
    return [RangeCount(first.decode(), size) for first, size in zip(reply[::2], reply[1::2], strict=True)]
