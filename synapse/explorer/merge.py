"""The entries of several streams in one order, by id.

Each stream is read in chunks. When the chunk of one stream is used up, the next chunks of all streams with little left
are requested in one pipeline, so that many streams take few round trips.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from synapse.formats.text import tag_of
from synapse.inspection.range_query import FIRST_CHUNK, Order, Scan
from synapse.redis import Conversation, RedisFailure, answer, ask
from synapse.redis.commands.streams import Entry, xrange
from synapse.wire.ids import EntryId, Range, parse

# The most streams in one round trip: later, and in the first one, when the size of entries is unknown. The first chunks
# have _FIRST_ENTRIES entries together, later ones about _ROUND_BYTES.
_AT_ONCE, _AT_FIRST, _FIRST_ENTRIES = 50, 10, 100
_ROUND_BYTES, _LEAST_BYTES = 1024 * 1024, 16 * 1024
# The most bytes that one round trip is expected to return, unless a single entry is larger.
_MOST_BYTES = 8 * 1024 * 1024
# The most bytes of entries that are kept in advance: the largest are dropped, and read again when they are due.
MOST_AHEAD = 16 * 1024 * 1024
# When a request is needed anyway, it includes the streams that have at most 1/_PART_LEFT of their chunk left.
_PART_LEFT = 2


class Found(NamedTuple):
    """An entry and its stream. `entry` is None when it was too large to be kept until it is due."""

    id: EntryId
    tag: str
    stream: str
    entry: Entry | None
    size: int


class _Source:
    """One stream: its scan, and the entries that were read in advance."""

    def __init__(self, stream: str, scan: Scan) -> None:
        self.stream = stream
        self.tag = tag_of(stream)
        self.scan = scan
        self.ahead: deque[Found] = deque()
        self.chunk = 0
        self.first: EntryId | None = None

    @property
    def is_nearly_used_up(self) -> bool:
        return not self.scan.exhausted and len(self.ahead) * _PART_LEFT <= self.chunk

    def add_chunk(self, entries: Sequence[Entry]) -> int:
        """Add a chunk. Return its size in bytes."""
        found = [
            Found(parse(entry.id), self.tag, self.stream, entry, sum(map(len, entry.parts)))
            for entry in self.scan.take_chunk(list(entries))
        ]
        if self.first is None and found:
            self.first = found[0].id
        self.ahead.extend(found)
        self.chunk = len(found)
        return sum(each.size for each in found)


class Merge:
    """Reads ranges of several streams as one sequence, ordered by id, then by the tag of the stream.

    Attributes:
        failures: the failures of streams that cannot be read, by stream.
    """

    def __init__(self, parts: Mapping[str, Range], order: Order, *, wanted: int) -> None:
        """Merge a range of each stream. `wanted`: about how many entries the caller needs in all."""
        count = max(len(parts), 1)
        first = max(1, min(FIRST_CHUNK, _FIRST_ENTRIES // count, -(-2 * wanted // count)))
        self._is_newest_first = order == "newest"
        self._sources = [
            _Source(
                stream,
                Scan(
                    stream,
                    part,
                    order=order,
                    # The caller counts the entries.
                    most=2**63,
                    most_bytes=2**63,
                    first_chunk=first,
                    chunk_bytes=max(_LEAST_BYTES, _ROUND_BYTES // count),
                    growth=4,
                ),
            )
            for stream, part in parts.items()
        ]
        self._ahead = 0
        self.failures: dict[str, RedisFailure] = {}

    @property
    def done(self) -> bool:
        """Whether all entries were returned."""
        return all(source.scan.exhausted and not source.ahead for source in self._sources)

    def next_batch(self) -> Conversation[list[Found]]:
        """Return the next entries in order: at least one, unless none is left.

        Raises:
            RedisFailure: when Redis cannot be used, or no stream can be read.
        """
        yield from self._read_ahead()
        # After the last entry of a chunk, its stream may have entries that come before those of others.
        ends = [source.ahead[-1][:2] for source in self._sources if not source.scan.exhausted]
        edge = (max(ends) if self._is_newest_first else min(ends)) if ends else None
        batch = [found for source in self._sources for found in self._take_until(source, edge)]
        batch.sort(key=lambda found: found[:2], reverse=self._is_newest_first)
        self._ahead -= sum(found.size for found in batch if found.entry)
        return batch

    def finished_streams(self) -> set[str]:
        """Return the streams of which all entries were returned."""
        return {source.stream for source in self._sources if source.scan.exhausted and not source.ahead}

    def first_ids(self) -> dict[str, EntryId | None]:
        """Return the id of the first entry of each stream; None for a stream without entries in its range."""
        return {source.stream: source.first for source in self._sources}

    def next_ids(self) -> dict[str, EntryId]:
        """Return the id of the next entry of each stream that was read already."""
        return {source.stream: source.ahead[0].id for source in self._sources if source.ahead}

    def _take_until(self, source: _Source, edge: tuple[EntryId, str] | None) -> Iterable[Found]:
        ahead = source.ahead
        while ahead and (edge is None or (ahead[0][:2] >= edge if self._is_newest_first else ahead[0][:2] <= edge)):
            yield ahead.popleft()

    def _read_ahead(self) -> Conversation[None]:
        if all(source.ahead for source in self._sources if not source.scan.exhausted):
            return
        due = deque(source for source in self._sources if source.is_nearly_used_up)
        while some := self._choose_next(due):
            replies = yield from ask([source.scan.command() for source in some])
            for source, reply in zip(some, replies, strict=True):
                try:
                    entries = answer(reply, source.stream, absent=[])
                except RedisFailure as failure:
                    self._remove_failed(source, failure)
                else:
                    self._ahead += source.add_chunk(entries)
            self._drop_large_entries()

    def _choose_next(self, due: deque[_Source]) -> list[_Source]:
        """Remove the streams for the next round trip from `due`, and return them."""
        read = sum(source.scan.entries for source in self._sources)
        usual = sum(source.scan.bytes for source in self._sources) // read if read else 0
        most = _AT_ONCE if read else _AT_FIRST
        found: list[_Source] = []
        expected = 0
        while due and len(found) < most:
            expected += due[0].scan.expected_bytes(usual)
            if found and expected > _MOST_BYTES:
                break
            found.append(due.popleft())
        return found

    def _remove_failed(self, source: _Source, failure: RedisFailure) -> None:
        self.failures[source.stream] = failure
        self._sources.remove(source)
        if not self._sources:
            raise failure

    def _drop_large_entries(self) -> None:
        if self._ahead <= MOST_AHEAD:
            return
        count = sum(len(source.ahead) for source in self._sources)
        for source in self._sources:
            for at, found in enumerate(source.ahead):
                if found.entry and found.size > MOST_AHEAD // count:
                    source.ahead[at] = found._replace(entry=None)
                    self._ahead -= found.size


def read_entry(found: Found) -> Conversation[Entry | None]:
    """Read an entry that was not kept; None when it was trimmed meanwhile."""
    (reply,) = yield from ask([xrange(found.stream, str(found.id), str(found.id), 1)])
    entries = answer(reply, found.stream, absent=[])
    return entries[0] if entries else None
