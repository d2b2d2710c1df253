"""The commands of the index by which events are found: its segments and its state."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_WRITE = load_script("index_write")
_FIND = load_script("index_find")
_DELETE = load_script("index_delete")
_BLOCK = struct.Struct(">QQ")
# The number of segments that a call of the script searches: other clients wait for it.
MOST_SEGMENTS = 32


class SegmentRange(NamedTuple):
    """The entries of a segment: the last one's id, and how many they were when it was written."""

    last_id: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """The state of a stream's index.

    Attributes:
        version: rises with each change, and from one index to the next of the same stream; 0: there is no index.
        of: what the index was made for.
        marks: the marks of PII it was made by.
        position: the id of the last indexed entry.
        added: how many entries the stream had taken by then; -1 where the server does not count them.
        segments: the segments by number, the oldest first.
    """

    version: int = 0
    of: str = ""
    marks: str = ""
    position: str = "0-0"
    added: int = 0
    segments: dict[int, SegmentRange] = field(default_factory=dict)


class IndexMatches(NamedTuple):
    """Blocks of entries that may hold the searched value.

    `position`: the id of the last indexed entry, None when the index is another one, or none. `is_damaged`: part of the
    index is missing. `blocks`: the ids at which blocks begin, the newest first. `version`: that of the index.
    `searched`: the number of the last segment that was searched, "" when there are no more.
    """

    position: str | None
    is_damaged: bool
    blocks: Sequence[str]
    version: str
    searched: str


def index_state(stream: str) -> Command:
    """Read how far a stream is indexed: `IndexState`."""
    return Command(("HGETALL", keyspace.correlation_index(stream)), parse=_state)


def indexed_entries(stream: str) -> Command:
    """Read how many entries a stream had taken when the last indexed one came: 0 without an index, -1 where the server
    does not count them."""
    return Command(("HGET", keyspace.correlation_index(stream), "added"), parse=lambda reply: int(reply or 0))


def segment(stream: str, number: int) -> Command:
    """Read the bytes of a segment, None when it is gone."""
    return Command(("GET", _segment(stream, number)))


def count_segments(stream: str, numbers: Sequence[int]) -> Command:
    """Count the segments of these numbers that are there."""
    return Command(("EXISTS", *(_segment(stream, number) for number in numbers)))


def write_index(
    stream: str,
    state: IndexState,
    *,
    written: tuple[int, SegmentRange, bytes] | None = None,
    deleted: Sequence[int] = (),
) -> Command:
    """Change a stream's index of the version `state.version` to the rest of `state`. The reply is its new version,
    0 when another process changed it meanwhile.

    Args:
        written: the number of a new segment, its entries and its bytes.
        deleted: the numbers of segments that are no longer needed.
    """
    number, entries, data = written or (0, SegmentRange("", 0), b"")
    told: list[Argument] = [str(number), f"{entries.last_id} {entries.entries}", data] if written else ["", "", b""]
    names = [keyspace.correlation_index(stream), *(_segment(stream, each) for each in (number, *deleted))]
    head: list[Argument] = [state.version, state.of, state.position, state.added, state.marks]
    return _WRITE.call(names, [*head, *told, *deleted], parse=int)


def find_in_index(
    stream: str, of: str, digests: Sequence[int], *, most: int, after: IndexMatches | None = None
) -> Command:
    """Find digests in a stream's index if it was made for `of`: `IndexMatches`, with `most` blocks at most.

    Args:
        after: the matches in newer segments, to continue behind them. When the index was changed since, the search
            begins again: the reply has another version.
    """
    position = (after.version, after.searched) if after else ("", "")
    return _FIND.call(
        [keyspace.correlation_index(stream)], [of, most, MOST_SEGMENTS, *position, *digests], parse=_matches
    )


def delete_index(stream: str, version: int) -> Command:
    """Delete a stream's index of a version, with its segments; the reply is false when another process changed it
    meanwhile."""
    return _DELETE.call([keyspace.correlation_index(stream)], [version], parse=bool)


def note_deleted(stream: str) -> Command:
    """Record that a stream has no index."""
    return Command(("ZREM", keyspace.INDEXED, stream))


def note_indexed(stream: str) -> Command:
    """Record that a stream has an index."""
    return Command(("ZADD", keyspace.INDEXED, 0, stream))


def indexed_streams() -> Command:
    """Read the names of the streams that have an index."""
    return Command(("ZRANGE", keyspace.INDEXED, 0, -1), parse=lambda reply: [name.decode() for name in reply])


def _segment(stream: str, number: int) -> str:
    return f"{keyspace.correlation_index(stream)}:{number}"


def _state(reply: Any) -> IndexState:
    texts = {name.decode(): text.decode() for name, text in zip(reply[::2], reply[1::2], strict=True)}
    ranges = {int(name): text.split() for name, text in texts.items() if name.isdigit()}
    return IndexState(
        version=int(texts.get("version", 0)),
        of=texts.get("of", ""),
        marks=texts.get("marks", ""),
        position=texts.get("place", "0-0"),
        added=int(texts.get("added", 0)),
        segments={number: SegmentRange(last, int(entries)) for number, (last, entries) in sorted(ranges.items())},
    )


def _matches(reply: Any) -> IndexMatches:
    position, is_damaged, version, searched, *blocks = reply
    ids = ["{}-{}".format(*_BLOCK.unpack(block)) for block in blocks]
    return IndexMatches(position.decode() or None, bool(is_damaged), ids, version.decode(), searched.decode())
