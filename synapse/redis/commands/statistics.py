"""The commands of the sampler: samples of streams and groups, and blocks of history."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import hiredis

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_SAMPLE = load_script("sample")
_COUNT_BETWEEN = load_script("count_between")


class StreamSample(NamedTuple):
    """A stream at one moment. `added` and `memory` are -1 when Redis does not report them."""

    length: int
    last_id: str
    added: int
    deleted_id: str
    first_id: str
    memory: int


class Sample(NamedTuple):
    """A sample of a stream and its groups as raw replies, so that unchanged parts need not be parsed again.

    Attributes:
        stream: the reply that `stream_sample` parses.
        names: the names of all groups.
        groups: the reply that `group_sample` parses, for each requested group; empty for a group that does not exist.
    """

    stream: list[Any]
    names: list[bytes]
    groups: list[bytes]


class GroupSample(NamedTuple):
    """A group at one moment. `counters` are the requested ones, in their order."""

    delivered_id: str
    pending: int
    waiting: int
    dead: int
    counters: list[int]


class RangeCount(NamedTuple):
    """The entries of a range of ids: the id of the first ("" without any), and the number that were counted."""

    first_id: str
    size: int


def sample_stream(stream: str, *, memory: bool) -> Command:
    """Sample a stream without its groups: `StreamSample`. `memory` costs Redis a little more."""
    return _SAMPLE.call([stream], [int(memory), 0], parse=stream_sample)


def sample_with_groups(stream: str, groups: Mapping[str, bytes], fields: Sequence[str], *, memory: bool) -> Command:
    """Sample a stream and groups, with some fields of the groups' counters: `Sample`.

    Args:
        stream: the name of the stream.
        groups: the name of each group in Redis, by its name as text.
        fields: the fields of the counters.
        memory: whether to measure the memory of the stream, too, which costs Redis a little more.
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
    """Parse the part of a sample for the stream itself."""
    length, last_id, added, deleted_id, first_id, memory, *_ = row
    return StreamSample(length, last_id.decode(), added, deleted_id.decode(), first_id.decode(), memory)


def hash_items(key: str) -> Command:
    """Read a hash as raw names and values, alternating, to see whether it has changed."""
    return Command(("HGETALL", key))


def group_sample(text: bytes, fields: int) -> GroupSample:
    """Parse the part of a sample for a group, with this many counters."""
    delivered_id, pending, waiting, dead, *counters = text.split(b"\0")
    # A key of another type under this name counts as 0 and is no error.
    counted = [*map(number, counters)] if len(counters) == fields else [0] * fields
    return GroupSample(delivered_id.decode(), int(pending), int(waiting), int(dead), counted)


def count_between(stream: str, ranges: Sequence[tuple[str, str, int]]) -> Command:
    """Count the entries in ranges of ids, each up to its limit. The reply has a `RangeCount` for each range."""
    arguments: list[Argument] = [part for each in ranges for part in each]
    return _COUNT_BETWEEN.call([stream], arguments, parse=_between)


def pack_once(command: Command) -> Command:
    """Return a command that is packed already, for commands that are sent often."""
    return command._replace(packed=hiredis.pack_command(command.words))  # type: ignore[arg-type]


def block(stream: str, seconds: int, name: int | str) -> Command:
    """Read a block of a stream's history, None when it does not exist."""
    return Command(("GET", keyspace.history(stream, seconds, name)))


def has_block(stream: str, seconds: int, name: int | str) -> Command:
    """Ask whether a block of a stream's history exists."""
    return Command(("EXISTS", keyspace.history(stream, seconds, name)), parse=bool)


def keep_block(stream: str, seconds: int, name: int | str, data: bytes, *, until: int) -> Command:
    """Write a block of a stream's history. It expires at a time in seconds since 1970."""
    return Command(("SET", keyspace.history(stream, seconds, name), data, "EXAT", until))


def keep_latest_sample(data: bytes) -> Command:
    """Write the latest sample. It expires after a minute."""
    return Command(("SET", keyspace.LATEST_SAMPLE, data, "EX", 60))


def latest_sample() -> Command:
    """Read the latest sample, None when there is none."""
    return Command(("GET", keyspace.LATEST_SAMPLE))


def number(text: bytes | None) -> int:
    """Parse a counter, 0 for a text that is not a number and comes from another program."""
    return int(text) if text and text.isdigit() and len(text) < 19 else 0


def _sample(reply: Any) -> Sample:
    return Sample(reply[:6], reply[6], reply[7:])


def _between(reply: Any) -> list[RangeCount]:
    return [RangeCount(first.decode(), size) for first, size in zip(reply[::2], reply[1::2], strict=True)]
