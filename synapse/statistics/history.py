"""Values over a time range, read from blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from synapse.redis import Conversation, ask, map_cooperatively
from synapse.redis.commands import statistics as commands
from synapse.statistics.block import STEPS, Block, unpack
from synapse.statistics.rows import Rows, Span, compute_rows, compute_sums, find_steps_with_samples
from synapse.statistics.series import PUBLISHED, RETRIED, SUMS, Selection
from synapse.statistics.storage import BASE, FINEST, INSTALLATION

# The number of blocks that are read in one round trip. Redis serves no other client meanwhile.
_TOGETHER = 500
# Blocks by name, as bytes and decoded.
_Blocks = dict[int | str, tuple[bytes, Block]]
# The seconds for which a missing last step is not a gap, because a step is written only with the next sample.
_LATE = 2 * FINEST.seconds
# Series that exist whenever their stream or group was sampled.
_ALWAYS = (PUBLISHED.number, RETRIED.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Values over a time range.

    Attributes:
        span: the time range.
        streams: the series of each stream by its name.
    """

    span: Span
    streams: Mapping[str, Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedHistory:
    """The history of a stream as it was last read.

    Attributes:
        source: everything that determines the rows.
        rows: the series of the stream.
        blocks: the blocks of the rows by name, as bytes and decoded.
        size: the approximate number of values.
    """

    source: object = None
    rows: Rows = field(default_factory=dict)
    blocks: _Blocks = field(default_factory=dict)
    size: int = 0


class KeptHistory:
    """The history of some series as last read, by stream, so that only later changes have to be decoded.

    Args:
        most: the number of values to keep, for the most recently used streams.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: dict[str, _CachedHistory] = {}
        self._size = 0

    def get(self, stream: str) -> _CachedHistory:
        """Return the cached history of a stream."""
        return self._kept.get(stream, _NOTHING)

    def keep(self, stream: str, kept: _CachedHistory) -> None:
        """Cache the history of a stream; the least recently used streams are dropped."""
        with self._lock:
            self._drop(stream)
            self._kept[stream] = kept
            self._size += kept.size
            while self._size > self._most:
                self._drop(next(iter(self._kept)))

    def _drop(self, stream: str) -> None:
        self._size -= self._kept.pop(stream, _NOTHING).size


_NOTHING = _CachedHistory()


def read_history(
    streams: Sequence[str],
    span: Span,
    wanted: Selection,
    *,
    now: int,
    kept: KeptHistory | None = None,
    instead: Span | None = None,
) -> Conversation[History]:
    """Return the values of the wanted series of each stream; None at steps without a sample.

    The value of a counter is its growth within the step, that of a gauge its highest value.

    Args:
        streams: the names of the streams.
        span: the time range.
        wanted: the series to read.
        now: the time in seconds since 1970.
        kept: the cache of the history of the same series.
        instead: the time range to return when the last step of `span` has just ended and is not written yet.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    return (yield from _Reader(span, wanted, now=now, kept=kept, instead=instead).read(streams))


class _ChangedStream(NamedTuple):
    """A stream that has changed since its history was cached.

    Attributes:
        source: everything that determines the rows.
        cached: the blocks in the cache.
        blocks: the blocks as they are now.
    """

    stream: str
    source: object
    cached: _Blocks
    blocks: _Blocks


class _Reader:
    """Reads the histories of streams, of many in one round trip. The arguments are those of `read_history`."""

    def __init__(
        self, span: Span, wanted: Selection, *, now: int, kept: KeptHistory | None, instead: Span | None
    ) -> None:
        self._span = span
        self._instead = instead
        self._wanted = wanted
        self._now = now
        self._kept = KeptHistory(most=0) if kept is None else kept
        # The step before the first one has the value from which counters grew; a later block has the value before it,
        # too.
        least = min(span.first, instead.first) if instead else span.first
        self._begin, end = (least - 1) // STEPS, max(now // span.resolution.seconds, span.last) // STEPS
        self._names = [*range(self._begin, end + 1), BASE]
        parts_of_sums = [part for number in wanted.numbers for part in SUMS.get(number, ())]
        self._unpacked = Selection(wanted.numbers.union(_ALWAYS, parts_of_sums), wanted.groups and wanted.groups | {""})
        # Whether a sample was taken at each step, and at the one before the first; empty until that is read.
        self._sampled: list[bool] = []
        self._found: dict[str, Rows] = {}

    def read(self, streams: Sequence[str]) -> Conversation[History]:
        """Return the history of the streams, like `read_history`."""
        together = max(1, _TOGETHER // len(self._names))
        for start in range(0, len(streams), together):
            yield from self._read_together(streams[start : start + together])
        return History(span=self._span, streams=self._found)

    def _read_together(self, streams: Sequence[str]) -> Conversation[None]:
        # The steps with samples are read together with the first streams.
        asked = streams if self._sampled else [INSTALLATION, *streams]
        names, seconds = self._names, self._span.resolution.seconds
        answers = yield from ask([commands.block(stream, seconds, name) for stream in asked for name in names])
        parts = [answers[start : start + len(names)] for start in range(0, len(answers), len(names))]
        if not self._sampled:
            self._find_samples(parts.pop(0))
        changed: list[_ChangedStream] = []
        packed: list[tuple[_ChangedStream, int | str, bytes]] = []
        for stream, replies in zip(streams, parts, strict=True):
            cached, source = self._kept.get(stream), (replies, self._span, self._sampled)
            if cached.source == source:
                self._found[stream] = cached.rows
                self._kept.keep(stream, cached)
                continue
            each = _ChangedStream(stream, source, cached.blocks, {})
            changed.append(each)
            packed += [
                (each, name, reply) for name, reply in zip(names, replies, strict=True) if isinstance(reply, bytes)
            ]
        # Many blocks and many streams are read in parts.
        yield from map_cooperatively(packed, self._unpack_block)
        yield from map_cooperatively(changed, self._compute_stream)

    def _find_samples(self, replies: Sequence[object]) -> None:
        """Find the steps with samples, given the blocks of the installation. A last step that is not written yet is
        left out."""
        span, instead = self._span, self._instead
        self._sampled = find_steps_with_samples(replies, self._begin, span)
        is_late = self._now < (span.last + 1) * span.resolution.seconds + _LATE
        if instead is not None and is_late and not self._sampled[-1]:
            self._span, self._sampled = instead, find_steps_with_samples(replies, self._begin, instead)

    def _unpack_block(self, packed: tuple[_ChangedStream, int | str, bytes]) -> None:
        (_, _, cached, blocks), name, data = packed
        # A block has the values before it; the base is needed only when there is no block.
        if name == BASE and blocks:
            return
        if (earlier := cached.get(name)) is not None and earlier[0] == data:
            blocks[name] = earlier
        elif (block := unpack(data, self._unpacked)) is not None:
            blocks[name] = data, block
            if earlier is not None:
                block.follow(earlier[1])

    def _compute_stream(self, changed: _ChangedStream) -> None:
        stream, source, _, blocks = changed
        present = [blocks[name][1] if name in blocks else None for name in self._names]
        rows = compute_rows(present, self._begin, self._span, self._sampled)
        rows = {key: row for key, row in (rows | compute_sums(rows, self._wanted)).items() if self._wanted.has(key)}
        self._found[stream] = rows
        self._kept.keep(stream, _CachedHistory(source=source, rows=rows, blocks=blocks, size=_size_of(rows, blocks)))


def _size_of(rows: Rows, blocks: _Blocks) -> int:
    changes = sum(len(column.changes) for _, block in blocks.values() for column in block.columns.values())
    return changes + sum(map(len, rows.values()))
