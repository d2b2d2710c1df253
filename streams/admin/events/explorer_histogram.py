"""The histogram of the explorer's page: events over time."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from streams.admin.events.explorer_state import ExplorerState
from synapse.problems import Problem
from synapse.redis import Conversation
from synapse.statistics import series
from synapse.statistics.charts import window_of
from synapse.statistics.history import read_history
from synapse.statistics.overview import add_rows
from synapse.wire.ids import moment_of_ms

MOST_BARS = 60
Bar = Mapping[str, int]


def read_stored(streams: Sequence[str], range_: str, *, now: int) -> Conversation[list[Bar]]:
    """Return the bars of events stored over a time range, from the samples of statistics."""
    window = window_of(range_, now=now)
    history = yield from read_history(
        streams, window.span, series.select(series.PUBLISHED), now=now, instead=window.span.shorter
    )
    span = history.span
    row = add_rows(row for rows in history.streams.values() for row in rows.values())
    together = max(window.together, ceil(len(row) / MOST_BARS))
    step = span.resolution.seconds * 1_000
    return [
        {
            "from": span.begins * 1_000 + at * step,
            "to": span.begins * 1_000 + min(at + together, len(row)) * step,
            "count": sum(value or 0 for value in row[at : at + together]),
        }
        for at in range(0, len(row), together)
    ]


def build_histogram(
    state: ExplorerState, found: Mapping[str, Any], page: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the chart above the list, or None when it would have no bars."""
    stored = found.get("stored")
    if stored is not None and not isinstance(stored, Problem):
        bars, title = stored, "Events stored"
    elif page is not None:
        bars, title = page["histogram"], "Events found"
    else:
        return None
    if not any(bar["count"] for bar in bars):
        return None
    rows = [
        {**bar, "begin": moment_of_ms(bar["from"]), "url": f"?{_narrow_to_bar(state, bar).query}"}
        for bar in bars
        if bar["count"]
    ]
    return {
        "title": title,
        "from": bars[0]["from"],
        "to": bars[-1]["to"],
        "rows": rows,
        "grows": bars is not stored,
    }


def _narrow_to_bar(state: ExplorerState, bar: Bar) -> ExplorerState:
    return state.with_changes(range="", since=str(bar["from"]), until=str(bar["to"] - 1), next="")
