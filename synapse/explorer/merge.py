"""The entries of several streams in one order, by id.

Each stream is read in chunks. As soon as one stream's chunk is used up, the next chunks of all streams that are nearly
used up are asked for in one pipeline, so that many streams take few round trips.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from synapse.formats.text import tag_of
from synapse.inspection.range_query import FIRST_CHUNK, Order, Scan
from synapse.redis import Conversation, RedisFailure, answer, ask
from synapse.redis.commands.streams import Entry, xrange
from synapse.wire.ids import EntryId, Range, parse

# The number of streams that are asked in one round trip, since the size of their entries is unknown at first. The first
# chunks have this many entries together, and later ones about this many bytes.
_AT_ONCE, _AT_FIRST, _FIRST_ENTRIES = 50, 10, 100
_ROUND_BYTES, _LEAST_BYTES = 1024 * 1024, 16 * 1024
# No more is asked for in one round trip, where entries are large: unless one entry alone is larger.
_MOST_BYTES = 8 * 1024 * 1024
# More than this is not kept of entries that were read ahead: the largest of them are read again when they are due.
MOST_AHEAD = 16 * 1024 * 1024
# A stream is asked again when no more than such a part of its chunk is left, if another one has to be asked.
_PART_LEFT = 2


class Found(NamedTuple):
    """An entry and its stream. `entry` is None where it was too large to be kept until it is due."""

    id: EntryId
    tag: str
    stream: str
    entry: Entry | None
    size: int


class _Source:
    """One stream: its scan, and the entries that were read ahead."""

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

    def take(self, entries: Sequence[Entry]) -> int:
        """Add a chunk; return its size in bytes."""
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
    """Reads ranges of several streams as one sequence: by id, entries of one id by the tag of their stream.

    Attributes:
        failures: by stream, why it cannot be read.
    """

    def __init__(self, parts: Mapping[str, Range], order: Order, *, wanted: int) -> None:
        """Read a part of each stream. `wanted`: about how many entries are needed of all of them."""
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
                    # The reader counts what it takes.
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
        """Whether all was read and given."""
        return all(source.scan.exhausted and not source.ahead for source in self._sources)

    def next_batch(self) -> Conversation[list[Found]]:
        """Return the next entries in their order: at least one, unless none is left.

        Raises:
            RedisFailure: when Redis cannot be used, or no stream can be read.
        """
        yield from self._read_ahead()
        # Behind the last entry of a chunk, its stream may have one that comes before those of others.
        ends = [source.ahead[-1][:2] for source in self._sources if not source.scan.exhausted]
        edge = (max(ends) if self._is_newest_first else min(ends)) if ends else None
        batch = [found for source in self._sources for found in self._taken(source, edge)]
        batch.sort(key=lambda found: found[:2], reverse=self._is_newest_first)
        self._ahead -= sum(found.size for found in batch if found.entry)
        return batch

    def ended_streams(self) -> set[str]:
        """Return the streams of which all was read and given."""
        return {source.stream for source in self._sources if source.scan.exhausted and not source.ahead}

    def first_ids(self) -> dict[str, EntryId | None]:
        """Return the first id that was read of each stream; None of a stream without entries in its range."""
        return {source.stream: source.first for source in self._sources}

    def next_ids(self) -> dict[str, EntryId]:
        """Return the id of the next entry of each stream, where it was read already."""
        return {source.stream: source.ahead[0].id for source in self._sources if source.ahead}

    def _taken(self, source: _Source, edge: tuple[EntryId, str] | None) -> Iterable[Found]:
        ahead = source.ahead
        while ahead and (edge is None or (ahead[0][:2] >= edge if self._is_newest_first else ahead[0][:2] <= edge)):
            yield ahead.popleft()

    def _read_ahead(self) -> Conversation[None]:
        if all(source.ahead for source in self._sources if not source.scan.exhausted):
            return
        due = deque(source for source in self._sources if source.is_nearly_used_up)
        while some := self._next_asked(due):
            replies = yield from ask([source.scan.command() for source in some])
            for source, reply in zip(some, replies, strict=True):
                try:
                    entries = answer(reply, source.stream, absent=[])
                except RedisFailure as failure:
                    self._fail(source, failure)
                else:
                    self._ahead += source.take(entries)
            self._let_go_of_large_ones()

    def _next_asked(self, due: deque[_Source]) -> list[_Source]:
        """Take the streams that are asked in the next round trip from those that are due."""
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

    def _fail(self, source: _Source, failure: RedisFailure) -> None:
        self.failures[source.stream] = failure
        self._sources.remove(source)
        if not self._sources:
            raise failure

    def _let_go_of_large_ones(self) -> None:
        if self._ahead <= MOST_AHEAD:
            return
        count = sum(len(source.ahead) for source in self._sources)
        for source in self._sources:
            for at, found in enumerate(source.ahead):
                if found.entry and found.size > MOST_AHEAD // count:
                    source.ahead[at] = found._replace(entry=None)
                    self._ahead -= found.size


def read_again(found: Found) -> Conversation[Entry | None]:
    """Return an entry that was not kept; None when it was trimmed meanwhile."""
    (reply,) = yield from ask([xrange(found.stream, str(found.id), str(found.id), 1)])
    entries = answer(reply, found.stream, absent=[])
    return entries[0] if entries else None
