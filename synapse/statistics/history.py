"""Values over a time range, read from blocks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import sub
from threading import Lock

from synapse.redis import Command, Conversation, ask, map_cooperatively
from synapse.redis.commands import statistics as commands
from synapse.statistics.block import STEPS, Block, Column, unpack
from synapse.statistics.series import BY_NAME, BY_NUMBER, PUBLISHED, RETRIED, ROUNDS, SERIES, Key, Selection
from synapse.statistics.storage import BASE, FINEST, INSTALLATION, Resolution

# The number of blocks that are read in one round trip. Redis serves no other client meanwhile.
_TOGETHER = 500
Row = list[int | None]
Rows = dict[Key, Row]
# Blocks by name, as bytes and decoded.
_Blocks = dict[int | str, tuple[bytes, Block]]
# The seconds for which a missing last step is not a gap, because a step is written only with the next sample.
_LATE = 2 * FINEST.seconds
# Series that exist whenever their stream or group was sampled.
_ALWAYS = (PUBLISHED.number, RETRIED.number)
# The numbers of the parts of each series that is a sum; and the numbers of the sums that contain each part.
_SUMS = {each.number: [BY_NAME[name].number for name in each.sum_of] for each in SERIES if each.sum_of}
SUMS_OF = {
    part: [number for number, parts in _SUMS.items() if part in parts] for some in _SUMS.values() for part in some
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time range in steps of a resolution, from `first` to `last`, both included, counted from 1970.

    `together` is the number of steps in one value.
    """

    resolution: Resolution
    first: int
    last: int
    together: int = 1

    @property
    def step(self) -> int:
        """The seconds between two values."""
        return self.resolution.seconds * self.together

    @property
    def begins(self) -> int:
        """The time when the first value begins, in seconds since 1970."""
        return self.first * self.resolution.seconds

    @property
    def points(self) -> int:
        """The number of values of each series."""
        return (self.last - self.first + 1) // self.together

    @property
    def earlier(self) -> "Span":
        """The range with the same number of steps that ends one step earlier."""
        return replace(self, first=self.first - 1, last=self.last - 1)

    @property
    def shorter(self) -> "Span":
        """The range without its last step."""
        return replace(self, last=self.last - 1)


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
    # The step before the first one has the value from which counters grew; a later block has the value before it, too.
    least = min(span.first, instead.first) if instead else span.first
    begin, end = (least - 1) // STEPS, max(now // span.resolution.seconds, span.last) // STEPS
    names = [*range(begin, end + 1), BASE]
    found: dict[str, Rows] = {}
    sampled: list[bool] = []
    parts_of_sums = [part for number in wanted.numbers for part in _SUMS.get(number, ())]
    read = Selection(wanted.numbers.union(_ALWAYS, parts_of_sums), wanted.groups and wanted.groups | {""})

    def unpack_one(each: tuple[_Blocks, _Blocks, int | str, bytes]) -> None:
        blocks, known, name, data = each
        # A block has the values before it; the base is needed only when there is no block.
        if name == BASE and blocks:
            return
        if (earlier := known.get(name)) is not None and earlier[0] == data:
            blocks[name] = earlier
        elif (block := unpack(data, read)) is not None:
            blocks[name] = data, block
            if earlier is not None:
                block.follow(earlier[1])

    def decode(each: tuple[str, object, _Blocks]) -> None:
        stream, source, blocks = each
        rows = _compute_rows([blocks[name][1] if name in blocks else None for name in names], begin, span, sampled)
        rows = {key: row for key, row in (rows | _compute_sums(rows, wanted)).items() if wanted.has(key)}
        found[stream] = rows
        if kept:
            kept.keep(stream, _CachedHistory(source=source, rows=rows, blocks=blocks, size=_size_of(rows, blocks)))

    together = max(1, _TOGETHER // len(names))
    for start in range(0, len(streams), together):
        some = streams[start : start + together]
        # The steps with samples are read together with the first streams.
        asked = some if sampled else [INSTALLATION, *some]
        answers = yield from ask([command for stream in asked for command in _reading_commands(stream, span, names)])
        parts = [answers[place * len(names) : (place + 1) * len(names)] for place in range(len(asked))]
        if not sampled:
            of_installation = parts.pop(0)
            sampled += _steps_with_samples(of_installation, begin, span)
            if instead is not None and not sampled[-1] and now < (span.last + 1) * span.resolution.seconds + _LATE:
                span, sampled[:] = instead, _steps_with_samples(of_installation, begin, instead)
        others: list[tuple[str, object, _Blocks]] = []
        packed: list[tuple[_Blocks, _Blocks, int | str, bytes]] = []
        for stream, replies in zip(some, parts, strict=True):
            known, source = kept.get(stream) if kept else _NOTHING, (replies, span, sampled)
            if kept and known.source == source:
                found[stream] = known.rows
                kept.keep(stream, known)
                continue
            blocks: _Blocks = {}
            others.append((stream, source, blocks))
            packed += [
                (blocks, known.blocks, name, reply)
                for name, reply in zip(names, replies, strict=True)
                if isinstance(reply, bytes)
            ]
        # Many blocks and many streams are read in parts.
        yield from map_cooperatively(packed, unpack_one)
        yield from map_cooperatively(others, decode)
    return History(span=span, streams=found)


def _reading_commands(stream: str, span: Span, names: Sequence[int | str]) -> list[Command]:
    return [commands.block(stream, span.resolution.seconds, name) for name in names]


def _size_of(rows: Rows, blocks: _Blocks) -> int:
    changes = sum(len(column.changes) for _, block in blocks.values() for column in block.columns.values())
    return changes + sum(map(len, rows.values()))


def _steps_with_samples(replies: Sequence[object], begin: int, span: Span) -> list[bool]:
    """Say for each step, and for the one before the first, whether a sample was taken."""
    steps = {
        (begin + place) * STEPS + step
        for place, reply in enumerate(replies[:-1])
        if isinstance(reply, bytes) and (block := unpack(reply)) is not None and ROUNDS in block.columns
        for step, _ in block.columns[ROUNDS].entries()
    }
    return [step in steps for step in range(span.first - 1, span.last + 1)]


def _compute_rows(blocks: Sequence[Block | None], begin: int, span: Span, sampled: Sequence[bool]) -> Rows:
    """Return all series of a stream from its blocks. The last block is the base."""
    rows: Rows = {}
    present = [block for block in blocks if block is not None]
    unsampled = [place for place, is_sampled in enumerate(sampled) if not is_sampled]
    # The growth of a counter is known when its step and the one before were sampled.
    unknown = [place for place in range(len(sampled) - 1) if not (sampled[place] and sampled[place + 1])]
    nothing: Row = [0] * (len(sampled) - 1)
    for place in unknown:
        nothing[place] = None
    nothing = _join_steps(nothing, span.together, sum)
    for key in {key: None for block in present for key in block.columns}:
        series = BY_NUMBER.get(key.number)
        if series is None:
            continue
        is_counter = series.kind == "counter"
        constant = _constant_value([block.columns.get(key) for block in present])
        if is_counter and constant is not None:
            row = nothing
        else:
            row = _values_at_steps(blocks, key, begin, span) if constant is None else [constant] * len(sampled)
            if is_counter:
                # A new label counts as 0 before, if its stream or group was sampled then.
                always = Key(RETRIED.number, key.group) if key.group else Key(PUBLISHED.number)
                row = _simple_growth(row, unknown) or _careful_growth(
                    row, _values_at_steps(blocks, always, begin, span) if key.label else None, sampled
                )
            else:
                for place in unsampled:
                    row[place] = None
                del row[0]
            row = _join_steps(row, span.together, sum if is_counter else max)
        if row.count(None) < len(row):
            rows[key] = row
    return rows


def _constant_value(columns: Sequence[Column | None]) -> int | None:
    """Return the value of a series that did not change, None for any other."""
    value = columns[0].base if columns[0] is not None else None
    for column in columns:
        if column is None or column.changes or column.base != value:
            return None
    return value


def _compute_sums(rows: Rows, wanted: Selection) -> Rows:
    """Return the wanted series that are sums of others."""
    found: Rows = {}
    for number, parts in _SUMS.items():
        if number not in wanted.numbers:
            continue
        for group in {key.group for key in rows if key.number in parts}:
            some = [rows[key] for part in parts if (key := Key(part, group)) in rows]
            if all(row is some[0] for row in some):
                # The sum is that of one series, or of several that did not grow.
                found[Key(number, group)] = some[0]
                continue
            columns = zip(*some, strict=True)
            has_gaps = any(None in row for row in some)
            found[Key(number, group)] = (
                [None if None in at else sum(at) for at in columns] if has_gaps else list(map(sum, columns))
            )
    return found


def _values_at_steps(blocks: Sequence[Block | None], key: Key, begin: int, span: Span) -> Row:
    """Return the value at each step, and at the one before the first. Without a block, the value did not change."""
    known = next((block for block in blocks if block is not None), Block())
    value = known.columns[key].base if key in known.columns else None
    row: Row = []
    for block in blocks[:-1]:
        if block is None:
            row += [value] * STEPS
            continue
        column = block.columns.get(key)
        row += column.values() if column and column.changes else [column.base if column else None] * STEPS
        value = row[-1]
    start = span.first - 1 - begin * STEPS
    return row[start : start + span.last - span.first + 2]


def _simple_growth(row: Row, unknown: Sequence[int]) -> Row | None:
    """Return the growth of a counter in each step, None when it did not grow or did not exist all the time."""
    if None in row:
        return None
    grown: Row = list(map(sub, row[1:], row))
    if min(grown) < 0:  # type: ignore[operator, type-var]  # there is no None among them
        return None
    for place in unknown:
        grown[place] = None
    return grown


def _careful_growth(row: Row, always: Row | None, sampled: Sequence[bool]) -> Row:
    """Return the growth of a counter in each step.

    A counter that is less than before started over. `always` is given for a label, whose value counts as 0 before it
    existed: a series of its stream or group that has a value at every sample.
    """
    row = [value if is_sampled else None for value, is_sampled in zip(row, sampled, strict=True)]
    found: Row = []
    for place, (before, value) in enumerate(pairwise(row)):
        if before is None and always is not None and always[place] is not None and sampled[place]:
            before = 0  # noqa: PLW2901 # a missing value counts as 0
        found.append(None if before is None or value is None else value if value < before else value - before)
    return found


def _join_steps(row: Row, together: int, join: Callable[[Sequence[int]], int]) -> Row:
    if together == 1:
        return row
    parts = ([value for value in row[at : at + together] if value is not None] for at in range(0, len(row), together))
    return [join(part) if part else None for part in parts]
