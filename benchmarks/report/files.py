"""The files of a run, in `benchmarks/results/` (not under version control)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.plan import Plan
from benchmarks.report import markdown, plot
from benchmarks.row import Outcome

RESULTS = Path(__file__).resolve().parent.parent / "results"


def write(plan: Plan, facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> list[Path]:
    """Write JSON, Markdown and, when it can be drawn, the plot. Return what was written."""
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
    written[1].write_text(markdown.document(facts, outcomes), encoding="utf-8")
    if plot.draw(outcomes, stem.with_suffix(".png")):
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
