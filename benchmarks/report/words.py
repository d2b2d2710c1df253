"""Figures in words, the same everywhere."""

from collections.abc import Sequence

from benchmarks.row import Outcome
from benchmarks.values import Samples

HEADER = ("work", "beside", "ours", "peer's", "ratio", "to reach", "met")


def figure(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def samples(found: Samples | None, unit: str = "") -> str:
    """Return the median, and the range where there was more than one round."""
    if found is None:
        return "-"
    text = f"{figure(found.median)} {unit}".strip()
    return text if len(found.values) == 1 else f"{text} ({figure(found.low)}-{figure(found.high)})"


def cells(outcome: Outcome) -> Sequence[str]:
    """Return the texts of one line of the table."""
    row, measured = outcome.row, outcome.measured
    if measured is None:
        return (row.work, row.peer, "not measured", "-", "-", str(row.bar), "-")
    met = {True: "yes", False: "NO", None: "-"}[row.bar.met(measured)]
    ratio = "-" if measured.ratio is None else f"{measured.ratio:.2f}x"
    peer = samples(measured.peer)
    return (row.work, row.peer, samples(measured.ours, measured.unit), peer, ratio, str(row.bar), met)


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what a reader must know of single rows, by the name of the row."""
    found = []
    for outcome in outcomes:
        said = [outcome.why_not] if outcome.why_not else outcome.measured.notes if outcome.measured else []
        found += [f"{outcome.row.name}: {note}" for note in said]
    return found
