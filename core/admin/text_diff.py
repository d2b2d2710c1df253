"""What differs between two texts, line by line, made to be read. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import orjson

from synapse.formats import exact_json

# Lines around a difference that are shown with it; so many further ones and more are one row that says how many.
AROUND = 4
GAP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: of both texts ("same"), of the old one ("old") or of the new one ("new"); or a "gap" of equal lines.

    `before`, `changed` and `after` are the line's parts: `changed` is what differs from the line it took the place
    of, "" where there is no such line. The numbers are those of the line in either text, from 1.
    """

    kind: Literal["same", "old", "new", "gap"]
    old_number: int | None = None
    new_number: int | None = None
    before: str = ""
    changed: str = ""
    after: str = ""
    skipped: int = 0


def difference(old: str, new: str) -> list[Row]:
    """Return the lines of both texts in one order; an empty list when they are equal."""
    if old == new:
        return []
    old_lines, new_lines = old.splitlines(), new.splitlines()
    rows: list[Row] = []
    for what, i, i_end, j, j_end in SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
        if what == "equal":
            rows += [
                Row(kind="same", old_number=i + step + 1, new_number=j + step + 1, before=line)
                for step, line in enumerate(old_lines[i:i_end])
            ]
        else:
            rows += _replaced(old_lines[i:i_end], new_lines[j:j_end], i + 1, j + 1)
    return list(_without_long_gaps(rows))


def json_difference(old: Any, new: Any, *, was: bool = True, is_: bool = True) -> list[Row]:
    """Return the difference of two JSON values; `was` and `is_` say whether there was and is a value at all."""
    return difference(_text(old) if was else "", _text(new) if is_ else "")


def _replaced(old: Sequence[str], new: Sequence[str], old_start: int, new_start: int) -> list[Row]:
    # Line by line only where it is likely that one took the place of the other.
    paired = len(old) == len(new)
    parts = [_parts(one, other) for one, other in zip(old, new, strict=True)] if paired else []
    rows = []
    for step, line in enumerate(old):
        before, changed, after = parts[step][0] if paired else (line, "", "")
        rows.append(Row(kind="old", old_number=old_start + step, before=before, changed=changed, after=after))
    for step, line in enumerate(new):
        before, changed, after = parts[step][1] if paired else (line, "", "")
        rows.append(Row(kind="new", new_number=new_start + step, before=before, changed=changed, after=after))
    return rows


def _parts(one: str, other: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """Return both lines in three parts: what they begin with alike, what differs, what they end with alike."""
    start = _alike(one, other)
    end = _alike(one[start:][::-1], other[start:][::-1])
    first, second = (
        (line[:start], line[start : len(line) - end], line[len(line) - end :] if end else "") for line in (one, other)
    )
    return first, second


def _alike(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    return next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1),
        min(len(one), len(other)),
    )


def _without_long_gaps(rows: Sequence[Row]) -> Iterator[Row]:
    near = [False] * len(rows)
    for place, row in enumerate(rows):
        if row.kind != "same":
            for around in range(max(0, place - AROUND), min(len(rows), place + AROUND + 1)):
                near[around] = True
    for shown, group in groupby(zip(rows, near, strict=True), key=itemgetter(1)):
        lines = [row for row, _ in group]
        if shown or len(lines) < GAP:
            yield from lines
        else:
            yield Row(kind="gap", skipped=len(lines))


def _text(value: Any) -> str:
    if isinstance(value, str):
        # As it is: many are texts of several lines, such as a schema.
        return value
    return exact_json.dumps(value, option=orjson.OPT_INDENT_2).decode()
