"""The commands of the correlation index: its segments and its state."""

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
# The number of segments that one call of the script searches, while other clients wait.
MOST_SEGMENTS = 32


class SegmentRange(NamedTuple):
    """The entries of a segment: the id of the last one, and their number when the segment was written."""

    last_id: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """The state of a stream's index.

    Attributes:
        version: a number that rises with each change, and when a new index replaces it; 0 without an index.
        covered_fields: identifies the fields that the index covers.
        marks_name: identifies the marks of PII with which the index was built.
        position: the id of the last indexed entry.
        added: the number of entries that had been added to the stream when the entry at `position` was added; -1 when
            the server does not count them.
        segments: the segments by number, oldest first.
    """

    version: int = 0
    covered_fields: str = ""
    marks_name: str = ""
    position: str = "0-0"
    added: int = 0
    segments: dict[int, SegmentRange] = field(default_factory=dict)


class IndexMatches(NamedTuple):
    """Blocks of entries that may hold the searched value.

    `position` is the id of the last indexed entry, None when the index is missing or covers other fields. `is_damaged`
    is true when a part of the index is missing. `blocks` are the ids at which blocks begin, newest first. `version` is
    the version of the index. `searched` is the number, as text, of the last segment that was searched, "" when there
    are no more.
    """

    position: str | None
    is_damaged: bool
    blocks: Sequence[str]
    version: str
    searched: str


def index_state(stream: str) -> Command:
    """Read the state of a stream's index: `IndexState`."""
    return Command(("HGETALL", keyspace.correlation_index(stream)), parse=_parse_state)


def indexed_entries(stream: str) -> Command:
    """Read the number of entries that had been added to a stream when the last indexed entry was added: 0 without an
    index, -1 when the server does not count them.
    """
    return Command(("HGET", keyspace.correlation_index(stream), "added"), parse=lambda reply: int(reply or 0))


def segment(stream: str, number: int) -> Command:
    """Read the bytes of a segment, None when it does not exist."""
    return Command(("GET", _segment_key(stream, number)))


def count_segments(stream: str, numbers: Sequence[int]) -> Command:
    """Count the segments with these numbers that exist."""
    return Command(("EXISTS", *(_segment_key(stream, number) for number in numbers)))


def write_index(
    stream: str,
    state: IndexState,
    *,
    written: tuple[int, SegmentRange, bytes] | None = None,
    deleted: Sequence[int] = (),
) -> Command:
    """Replace the state of a stream's index with `state`, if its version is still `state.version`. The reply is the new
    version, 0 when another process has changed the index.

    Args:
        written: the number of a new segment, its entries and its bytes.
        deleted: the numbers of segments that are no longer needed.
    """
    number, entries, data = written or (0, SegmentRange("", 0), b"")
    written_arguments: list[Argument] = (
        [str(number), f"{entries.last_id} {entries.entries}", data] if written else ["", "", b""]
    )
    names = [keyspace.correlation_index(stream), *(_segment_key(stream, each) for each in (number, *deleted))]
    head: list[Argument] = [state.version, state.covered_fields, state.position, state.added, state.marks_name]
    return _WRITE.call(names, [*head, *written_arguments, *deleted], parse=int)


def find_in_index(
    stream: str, covered_fields: str, digests: Sequence[int], *, most: int, after: IndexMatches | None = None
) -> Command:
    """Find digests in a stream's index, if it covers these fields: `IndexMatches` with at most `most` blocks.

    Args:
        after: the matches in newer segments, to continue behind them. When the index has changed since, the search
            starts over, and the reply has another version.
    """
    position = (after.version, after.searched) if after else ("", "")
    return _FIND.call(
        [keyspace.correlation_index(stream)],
        [covered_fields, most, MOST_SEGMENTS, *position, *digests],
        parse=_parse_matches,
    )


def delete_index(stream: str, version: int) -> Command:
    """Delete a stream's index with its segments, if it has this version. The reply is false when another process
    changed it meanwhile.
    """
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


def _segment_key(stream: str, number: int) -> str:
    return f"{keyspace.correlation_index(stream)}:{number}"


def _parse_state(reply: Any) -> IndexState:
    texts = {name.decode(): text.decode() for name, text in zip(reply[::2], reply[1::2], strict=True)}
    ranges = {int(name): text.split() for name, text in texts.items() if name.isdigit()}
    return IndexState(
        version=int(texts.get("version", 0)),
        covered_fields=texts.get("of", ""),
        marks_name=texts.get("marks", ""),
        position=texts.get("place", "0-0"),
        added=int(texts.get("added", 0)),
        segments={number: SegmentRange(last, int(entries)) for number, (last, entries) in sorted(ranges.items())},
    )


def _parse_matches(reply: Any) -> IndexMatches:
    position, is_damaged, version, searched, *blocks = reply
    ids = ["{}-{}".format(*_BLOCK.unpack(block)) for block in blocks]
    return IndexMatches(position.decode() or None, bool(is_damaged), ids, version.decode(), searched.decode())
