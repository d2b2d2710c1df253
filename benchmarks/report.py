"""Report of a run: a table for the terminal, then JSON, Markdown and a plot in `benchmarks/results/`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.row import Outcome
from benchmarks.values import Plan, Samples

HEADER = ("work", "beside", "ours", "peer's", "ratio", "to reach", "met")


def figure(value: float) -> str:
    """Return a value with a sensible number of digits."""
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
    """Return the notes for readers about single rows, by the name of the row."""
    found = []
    for outcome in outcomes:
        said = [outcome.why_not] if outcome.why_not else outcome.measured.notes if outcome.measured else []
        found += [f"{outcome.row.name}: {note}" for note in said]
    return found


def markdown(facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """Return the machine, the table and the notes."""
    lines = [HEADER, ("---",) * len(HEADER), *(cells(outcome) for outcome in outcomes)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    machine = "\n".join(f"- {name}: {text}" for name, text in facts.items())
    found = "\n".join(f"- {note}" for note in notes(outcomes))
    return f"{table}\n\nMedians, in brackets the range of the rounds.\n\n{machine}\n" + (
        f"\n{found}\n" if found else ""
    )


def text_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table in aligned columns, and the notes under it."""
    lines = [HEADER, *(cells(outcome) for outcome in outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    shown.insert(1, "  ".join("-" * width for width in widths))
    if found := notes(outcomes):
        shown += ["", *found]
    return "\n".join(shown)


_COLOURS = {True: "#2a9d5c", False: "#c8503c", None: "#8a94a0"}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def draw_plot(outcomes: Sequence[Outcome], path: Path) -> bool:
    """Write the picture. Return False when matplotlib is not installed or there is no ratio to show."""
    shown = [
        (outcome.row, outcome.measured, outcome.measured.ratio)
        for outcome in reversed(outcomes)
        if outcome.measured and outcome.measured.ratio
    ]
    try:
        from matplotlib import use  # noqa: PLC0415 - may be missing, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return False
    if not shown:
        return False
    use("agg")
    figure = Figure(figsize=(10, 0.55 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row.name}\nbeside {row.peer}" for row, _, _ in shown]
    colours = [_COLOURS[row.bar.met(measured)] for row, measured, _ in shown]
    # Bars begin at 1x, where both are equal, and go to the right when Synapse's value is larger.
    axes.barh(labels, [ratio - 1 for _, _, ratio in shown], left=1, color=colours, height=0.6)
    for place, (row, _, ratio) in enumerate(shown):
        side = "right" if ratio < 1 else "left"
        axes.text(ratio, place + 0.42, f" {ratio:.2f}x ", ha=side, va="center", fontsize=8, fontweight="bold")
        limit = row.bar.ratio_at_least or row.bar.ratio_at_most
        if limit is not None:
            axes.plot([limit, limit], [place - 0.4, place + 0.4], color="black", linewidth=2)
    axes.set_xscale("log")
    axes.set_xlim(0.05, 100)
    axes.set_xticks(_TICKS, [f"{tick:g}x" for tick in _TICKS])
    axes.minorticks_off()
    axes.axvline(1, color="#60686f", linewidth=1)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ours divided by the peer's; the black mark is what is to be reached")
    figure.savefig(path, dpi=130)
    return True


RESULTS = Path(__file__).resolve().parent / "results"


def write_files(plan: Plan, facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> list[Path]:
    """Write JSON, Markdown and, when it can be drawn, the plot. Return the files."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    stem = RESULTS / f"{now:%Y%m%dT%H%M%SZ}-{plan.name}"
    found = {
        "measured_at": now.isoformat(timespec="seconds"),
        "plan": asdict(plan),
        "machine": dict(facts),
        "rows": [_row(outcome) for outcome in outcomes],
    }
    written = [stem.with_suffix(".json"), stem.with_suffix(".md")]
    written[0].write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    written[1].write_text(markdown(facts, outcomes), encoding="utf-8")
    if draw_plot(outcomes, stem.with_suffix(".png")):
        written.append(stem.with_suffix(".png"))
    return written


def _row(outcome: Outcome) -> dict[str, Any]:
    row, measured = outcome.row, outcome.measured
    described: dict[str, Any] = {"name": row.name, "work": row.work, "peer": row.peer, "bar": asdict(row.bar)}
    if measured is None:
        return {**described, "not_measured": outcome.why_not}
    return {
        **described,
        "unit": measured.unit,
        "ours": measured.ours.values,
        "peers": measured.peer.values if measured.peer else None,
        "ratio": measured.ratio,
        "met": row.bar.met(measured),
        "notes": list(measured.notes),
        "rounds": list(measured.rounds),
    }
