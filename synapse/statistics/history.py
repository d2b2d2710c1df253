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

# The number of blocks that are read in one round trip: Redis serves no other client until it has read them.
_TOGETHER = 500
Row = list[int | None]
Rows = dict[Key, Row]
# By their names blocks as bytes, and unpacked.
_Blocks = dict[int | str, tuple[bytes, Block]]
# A step is written when the first sample after it is taken: until then it is no gap. Seconds.
_LATE = 2 * FINEST.seconds
# Series that are there whenever their stream or group was sampled.
_ALWAYS = (PUBLISHED.number, RETRIED.number)
# By the number of a series that is a sum, those of its parts; and by that of a part, those of the sums that it is in.
_SUMS = {each.number: [BY_NAME[name].number for name in each.sum_of] for each in SERIES if each.sum_of}
SUMS_OF = {
    part: [number for number, parts in _SUMS.items() if part in parts] for some in _SUMS.values() for part in some
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time range in steps of a resolution, from `first` to `last`, both included, counted from 1970.

    `together` is how many steps make one value.
    """

    resolution: Resolution
    first: int
    last: int
    together: int = 1

    @property
    def step(self) -> int:
        """Seconds from one value to the next."""
        return self.resolution.seconds * self.together

    @property
    def begins(self) -> int:
        """When the first value's time begins, in seconds since 1970."""
        return self.first * self.resolution.seconds

    @property
    def points(self) -> int:
        """How many values each series has."""
        return (self.last - self.first + 1) // self.together

    @property
    def earlier(self) -> "Span":
        """The range of as many steps that ends one step before."""
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
        streams: by stream its series.
    """

    span: Span
    streams: Mapping[str, Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """The history of a stream that was read last.

    Attributes:
        source: all that the rows depend on.
        rows: its series.
        blocks: what the rows were made of by name, as bytes and decoded.
        size: how many values all of this has, about.
    """

    source: object = None
    rows: Rows = field(default_factory=dict)
    blocks: _Blocks = field(default_factory=dict)
    size: int = 0


class KeptHistory:
    """The history of some series as last read, by stream: only later changes are decoded.

    Args:
        most: so many values are kept, of the streams that were asked for last.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}
        self._size = 0

    def get(self, stream: str) -> _Kept:
        """Return the cached history of a stream."""
        return self._kept.get(stream, _NOTHING)

    def keep(self, stream: str, kept: _Kept) -> None:
        """Cache the history of a stream; the least recently used streams are dropped."""
        with self._lock:
            self._drop(stream)
            self._kept[stream] = kept
            self._size += kept.size
            while self._size > self._most:
                self._drop(next(iter(self._kept)))

    def _drop(self, stream: str) -> None:
        self._size -= self._kept.pop(stream, _NOTHING).size


_NOTHING = _Kept()


def read_history(
    streams: Sequence[str],
    span: Span,
    wanted: Selection,
    *,
    now: int,
    kept: KeptHistory | None = None,
    instead: Span | None = None,
) -> Conversation[History]:
    """Return the values of the wanted series of each stream; None at steps at which nothing was sampled.

    A counter's value is by how much it grew in the step, a gauge's the highest one.

    Args:
        streams: their names.
        span: the time range.
        wanted: which series.
        now: the time in seconds since 1970.
        kept: what was read last of the same series.
        instead: the time range to return when the last step of `span` was over just now, and is not written yet.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    # The step before the first one tells from where counters grew; a later block tells what was before it.
    least = min(span.first, instead.first) if instead else span.first
    begin, end = (least - 1) // STEPS, max(now // span.resolution.seconds, span.last) // STEPS
    names = [*range(begin, end + 1), BASE]
    found: dict[str, Rows] = {}
    sampled: list[bool] = []
    parts_of_sums = [part for number in wanted.numbers for part in _SUMS.get(number, ())]
    read = Selection(wanted.numbers.union(_ALWAYS, parts_of_sums), wanted.groups and wanted.groups | {""})

    def unpack_one(each: tuple[_Blocks, _Blocks, int | str, bytes]) -> None:
        blocks, known, name, data = each
        # A block has what was before it: only without any, the base tells.
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
        rows = _rows([blocks[name][1] if name in blocks else None for name in names], begin, span, sampled)
        rows = {key: row for key, row in (rows | _sums(rows, wanted)).items() if wanted.has(key)}
        found[stream] = rows
        if kept:
            kept.keep(stream, _Kept(source=source, rows=rows, blocks=blocks, size=_size_of(rows, blocks)))

    together = max(1, _TOGETHER // len(names))
    for start in range(0, len(streams), together):
        some = streams[start : start + together]
        # When samples were taken at all is read with the first of them.
        asked = some if sampled else [INSTALLATION, *some]
        answers = yield from ask([command for stream in asked for command in _reading(stream, span, names)])
        parts = [answers[place * len(names) : (place + 1) * len(names)] for place in range(len(asked))]
        if not sampled:
            of_installation = parts.pop(0)
            sampled += _sampled(of_installation, begin, span)
            if instead is not None and not sampled[-1] and now < (span.last + 1) * span.resolution.seconds + _LATE:
                span, sampled[:] = instead, _sampled(of_installation, begin, instead)
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
        # Many blocks, and many streams, are each read in parts.
        yield from map_cooperatively(packed, unpack_one)
        yield from map_cooperatively(others, decode)
    return History(span=span, streams=found)


def _reading(stream: str, span: Span, names: Sequence[int | str]) -> list[Command]:
    return [commands.block(stream, span.resolution.seconds, name) for name in names]


def _size_of(rows: Rows, blocks: _Blocks) -> int:
    changes = sum(len(column.changes) for _, block in blocks.values() for column in block.columns.values())
    return changes + sum(map(len, rows.values()))


def _sampled(replies: Sequence[object], begin: int, span: Span) -> list[bool]:
    """Say of each step, and of the one before the first, whether a sample was taken."""
    steps = {
        (begin + place) * STEPS + step
        for place, reply in enumerate(replies[:-1])
        if isinstance(reply, bytes) and (block := unpack(reply)) is not None and ROUNDS in block.columns
        for step, _ in block.columns[ROUNDS].entries()
    }
    return [step in steps for step in range(span.first - 1, span.last + 1)]


def _rows(blocks: Sequence[Block | None], begin: int, span: Span, sampled: Sequence[bool]) -> Rows:
    """Return all series of a stream by its blocks, the last of which is the base."""
    rows: Rows = {}
    present = [block for block in blocks if block is not None]
    unsampled = [place for place, is_sampled in enumerate(sampled) if not is_sampled]
    # By how much a counter grew is known where its step and the one before it were sampled.
    unknown = [place for place in range(len(sampled) - 1) if not (sampled[place] and sampled[place + 1])]
    nothing: Row = [0] * (len(sampled) - 1)
    for place in unknown:
        nothing[place] = None
    nothing = _joined(nothing, span.together, sum)
    for key in {key: None for block in present for key in block.columns}:
        series = BY_NUMBER.get(key.number)
        if series is None:
            continue
        is_counter = series.kind == "counter"
        constant = _constant([block.columns.get(key) for block in present])
        if is_counter and constant is not None:
            row = nothing
        else:
            row = _values(blocks, key, begin, span) if constant is None else [constant] * len(sampled)
            if is_counter:
                # A label that is new was nothing before, where its stream or group was sampled then.
                always = Key(RETRIED.number, key.group) if key.group else Key(PUBLISHED.number)
                row = _growth(row, unknown) or _careful_growth(
                    row, _values(blocks, always, begin, span) if key.label else None, sampled
                )
            else:
                for place in unsampled:
                    row[place] = None
                del row[0]
            row = _joined(row, span.together, sum if is_counter else max)
        if row.count(None) < len(row):
            rows[key] = row
    return rows


def _constant(columns: Sequence[Column | None]) -> int | None:
    """Return the value of a series that has one all the time, None for any other."""
    value = columns[0].base if columns[0] is not None else None
    for column in columns:
        if column is None or column.changes or column.base != value:
            return None
    return value


def _sums(rows: Rows, wanted: Selection) -> Rows:
    """Return the wanted series that are sums of others."""
    found: Rows = {}
    for number, parts in _SUMS.items():
        if number not in wanted.numbers:
            continue
        for group in {key.group for key in rows if key.number in parts}:
            some = [rows[key] for part in parts if (key := Key(part, group)) in rows]
            if all(row is some[0] for row in some):
                # Of one series, or of some that did not grow.
                found[Key(number, group)] = some[0]
                continue
            columns = zip(*some, strict=True)
            has_gaps = any(None in row for row in some)
            found[Key(number, group)] = (
                [None if None in at else sum(at) for at in columns] if has_gaps else list(map(sum, columns))
            )
    return found


def _values(blocks: Sequence[Block | None], key: Key, begin: int, span: Span) -> Row:
    """Return the value at each step, and at the one before the first: where there is no block nothing changed."""
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


def _growth(row: Row, unknown: Sequence[int]) -> Row | None:
    """Return by how much a counter grew in each step, None where it did not grow or was not there all the time."""
    if None in row:
        return None
    grown: Row = list(map(sub, row[1:], row))
    if min(grown) < 0:  # type: ignore[operator, type-var]  # there is no None among them
        return None
    for place in unknown:
        grown[place] = None
    return grown


def _careful_growth(row: Row, always: Row | None, sampled: Sequence[bool]) -> Row:
    """Return by how much a counter grew in each step.

    One that is less than before started over. `always` is given for a label, which was nothing before it was there: a
    series of its stream or group that has a value whenever that was sampled.
    """
    row = [value if is_sampled else None for value, is_sampled in zip(row, sampled, strict=True)]
    found: Row = []
    for place, (before, value) in enumerate(pairwise(row)):
        if before is None and always is not None and always[place] is not None and sampled[place]:
            before = 0  # noqa: PLW2901  # what was not there
        found.append(None if before is None or value is None else value if value < before else value - before)
    return found


def _joined(row: Row, together: int, join: Callable[[Sequence[int]], int]) -> Row:
    if together == 1:
        return row
    parts = ([value for value in row[at : at + together] if value is not None] for at in range(0, len(row), together))
    return [join(part) if part else None for part in parts]
