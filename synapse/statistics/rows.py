"""Rows of values: the series of a stream over a time range, computed from its blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import sub

from synapse.statistics.block import STEPS, Block, Column, unpack
from synapse.statistics.series import BY_NUMBER, PUBLISHED, RETRIED, ROUNDS, SUMS, Key, Selection
from synapse.statistics.storage import Resolution

Row = list[int | None]
Rows = dict[Key, Row]


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


def find_steps_with_samples(replies: Sequence[object], begin: int, span: Span) -> list[bool]:
    """Say for each step, and for the one before the first, whether a sample was taken."""
    steps = {
        (begin + place) * STEPS + step
        for place, reply in enumerate(replies[:-1])
        if isinstance(reply, bytes) and (block := unpack(reply)) is not None and ROUNDS in block.columns
        for step, _ in block.columns[ROUNDS].entries()
    }
    return [step in steps for step in range(span.first - 1, span.last + 1)]


def compute_rows(blocks: Sequence[Block | None], begin: int, span: Span, sampled: Sequence[bool]) -> Rows:
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


def compute_sums(rows: Rows, wanted: Selection) -> Rows:
    """Return the wanted series that are sums of others."""
    found: Rows = {}
    for number, parts in SUMS.items():
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
