"""Values over a time range, read from blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import sub
from threading import Lock

from synapse.redis import Command, Conversation, ask, map_cooperatively
from synapse.redis.commands import statistics as commands
from synapse.statistics.block import STEPS, Block, unpack
from synapse.statistics.series import BY_NAME, BY_NUMBER, PUBLISHED, RETRIED, ROUNDS, SERIES, Key
from synapse.statistics.storage import BASE, INSTALLATION, Resolution

# So many blocks are read in one round trip: Redis serves nobody else until it has them all.
_TOGETHER = 500
Row = list[int | None]
Rows = dict[Key, Row]
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


class LatestRows:
    """The rows that were made last of each stream: made again only when what they are made of has changed.

    Callers must not change them.

    Args:
        most: so many values are kept, of the streams that were asked for last.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._made: dict[str, tuple[object, Rows]] = {}
        self._size = 0

    def rows(self, stream: str, source: object, make: Callable[[], Rows]) -> Rows:
        """Return the rows of a stream; `source` is all that they depend on."""
        known = self._made.get(stream)
        rows = known[1] if known is not None and known[0] == source else make()
        with self._lock:
            self._take(stream)
            self._made[stream] = source, rows
            self._size += _values_in(rows)
            while self._size > self._most:
                self._take(next(iter(self._made)))
        return rows

    def _take(self, stream: str) -> None:
        _, rows = self._made.pop(stream, (None, {}))
        self._size -= _values_in(rows)


def _values_in(rows: Rows) -> int:
    return sum(map(len, rows.values()))


def read_history(
    streams: Sequence[str],
    span: Span,
    wanted: Callable[[Key], bool],
    *,
    now: int,
    latest: LatestRows | None = None,
) -> Conversation[dict[str, Rows]]:
    """Return the values of the wanted series of each stream; None at steps at which nothing was sampled.

    A counter's value is by how much it grew in the step, a gauge's the highest one.

    Args:
        streams: their names.
        span: the time range.
        wanted: says which series.
        now: the time in seconds since 1970.
        latest: the rows of the same series that were made last.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    # The step before the first one tells from where counters grew; a later block tells what was before it.
    begin, end = (span.first - 1) // STEPS, max(now // span.resolution.seconds, span.last) // STEPS
    names = [*range(begin, end + 1), BASE]
    found: dict[str, Rows] = {}
    sampled: list[bool] = []

    # Streams have groups and labels of the same names: each is decided on once.
    @lru_cache(maxsize=10_000)
    def is_read(key: Key) -> bool:
        if key.number in _ALWAYS or wanted(key):
            return True
        return any(wanted(Key(of, key.group, key.label)) for of in SUMS_OF.get(key.number, ()))

    def decode(each: tuple[str, Sequence[object]]) -> None:
        stream, replies = each

        def make() -> Rows:
            rows = _rows(replies, begin, span, sampled, is_read)
            return {key: row for key, row in (rows | _sums(rows, wanted)).items() if wanted(key)}

        found[stream] = latest.rows(stream, (replies, span, sampled), make) if latest else make()

    together = max(1, _TOGETHER // len(names))
    for start in range(0, len(streams), together):
        some = streams[start : start + together]
        # When samples were taken at all is read with the first of them.
        asked = some if sampled else [INSTALLATION, *some]
        replies = yield from ask([command for stream in asked for command in _reading(stream, span, names)])
        parts = [replies[place * len(names) : (place + 1) * len(names)] for place in range(len(asked))]
        if not sampled:
            sampled += _sampled(parts.pop(0), begin, span)
        yield from map_cooperatively(list(zip(some, parts, strict=True)), decode)
    return found


def _reading(stream: str, span: Span, names: Sequence[int | str]) -> list[Command]:
    return [commands.block(stream, span.resolution.seconds, name) for name in names]


def _block(reply: object, wanted: Callable[[Key], bool] | None = None) -> Block | None:
    return unpack(reply, wanted) if isinstance(reply, bytes) else None


def _sampled(replies: Sequence[object], begin: int, span: Span) -> list[bool]:
    """Say of each step, and of the one before the first, whether a sample was taken."""
    steps = {
        (begin + place) * STEPS + step
        for place, reply in enumerate(replies[:-1])
        if (block := _block(reply)) is not None and ROUNDS in block.columns
        for step, _ in block.columns[ROUNDS].entries()
    }
    return [step in steps for step in range(span.first - 1, span.last + 1)]


def _rows(
    replies: Sequence[object], begin: int, span: Span, sampled: Sequence[bool], is_read: Callable[[Key], bool]
) -> Rows:
    blocks = [_block(reply, is_read) for reply in replies[:-1]]
    # A block has what was before it: only without any, the base tells.
    blocks.append(None if any(blocks) else _block(replies[-1], is_read))
    keys = {key: None for block in blocks if block is not None for key in block.columns}
    has_gaps = not all(sampled)
    rows: Rows = {}
    for key in keys:
        series = BY_NUMBER.get(key.number)
        if series is None:
            continue
        row = _values(blocks, key, begin, span)
        if has_gaps:
            row = [value if is_sampled else None for value, is_sampled in zip(row, sampled, strict=True)]
        is_counter = series.kind == "counter"
        if is_counter:
            # A label that is new was nothing before, where its stream or group was sampled then.
            always = Key(RETRIED.number, key.group) if key.group else Key(PUBLISHED.number)
            before = _values(blocks, always, begin, span) if key.label else None
            row = _growth(row, before, sampled)
        else:
            row = row[1:]
        row = _joined(row, span.together, sum if is_counter else max)
        if row.count(None) < len(row):
            rows[key] = row
    return rows


def _sums(rows: Rows, wanted: Callable[[Key], bool]) -> Rows:
    """Return the wanted series that are sums of others."""
    found: Rows = {}
    for number, parts in _SUMS.items():
        for group in {key.group for key in rows if key.number in parts and wanted(Key(number, key.group))}:
            some = [rows[key] for part in parts if (key := Key(part, group)) in rows]
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


def _growth(row: Row, always: Row | None, sampled: Sequence[bool]) -> Row:
    """Return by how much a counter grew in each step.

    One that is less than before started over. `always` is given for a label, which was nothing before it was there: a
    series of its stream or group that has a value whenever that was sampled.
    """
    if row.count(row[0]) == len(row) and row[0] is not None:
        return [0] * (len(row) - 1)
    if None not in row and min(grown := list(map(sub, row[1:], row))) >= 0:
        return grown
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
