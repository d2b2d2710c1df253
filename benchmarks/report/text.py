"""The table for a terminal."""

from collections.abc import Sequence

from benchmarks.report import words
from benchmarks.row import Outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table in aligned columns, and the notes under it."""
    lines = [words.HEADER, *(words.cells(outcome) for outcome in outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(words.HEADER))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    if found := words.notes(outcomes):
        shown += ["", *found]
    return "\n".join(shown)
