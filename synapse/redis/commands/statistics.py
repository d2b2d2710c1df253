"""The sampler's commands: samples of streams and groups, and blocks of history."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import hiredis

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_SAMPLE = load_script("sample")
_COUNT_BETWEEN = load_script("count_between")


class StreamSample(NamedTuple):
    """A sample of a stream; `added` and `memory` are -1 where Redis does not report them."""

    length: int
    last_id: str
    added: int
    deleted_id: str
    first_id: str
    memory: int


class RangeCount(NamedTuple):
    """The entries of a range of ids: the id of the first ("" without any), and how many were counted."""

    first_id: str
    size: int


def sample(stream: str, *, memory: bool) -> Command:
    """Sample a stream; the reply is a `StreamSample`. `memory` costs Redis a little more."""
    return _SAMPLE.call([stream], [int(memory)], parse=_sample)


def count_between(stream: str, ranges: Sequence[tuple[str, str, int]]) -> Command:
    """Count the entries of ranges of ids, each up to its limit; the reply has a `RangeCount` for each range."""
    arguments: list[Argument] = [part for each in ranges for part in each]
    return _COUNT_BETWEEN.call([stream], arguments, parse=_between)


def counters(stream: str, group: str, fields: Sequence[str]) -> Command:
    """Read counters of a group; the reply has a number for each field, 0 for a field that is no number."""
    return Command(("HMGET", keyspace.counters(stream, group), *fields), parse=lambda reply: [*map(number, reply)])


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


def _sample(reply: Any) -> StreamSample:
    length, last_id, added, deleted_id, first_id, memory = reply
    return StreamSample(length, last_id.decode(), added, deleted_id.decode(), first_id.decode(), memory)


def _between(reply: Any) -> list[RangeCount]:
    return [RangeCount(first.decode(), size) for first, size in zip(reply[::2], reply[1::2], strict=True)]
