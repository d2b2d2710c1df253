"""The charts of a stream and of a group: the lines of each, and their values over a time range."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse.redis import Conversation, together
from synapse.statistics import history, series
from synapse.statistics.rows import Row, Rows, Span
from synapse.statistics.series import BY_NUMBER, Key, Selection, Series
from synapse.statistics.storage import FINEST, RESOLUTIONS

# The selectable time ranges in seconds, each with the seconds between two points.
RANGES: Mapping[str, tuple[int, int]] = {
    "15m": (900, 5),
    "1h": (3_600, 15),
    "6h": (21_600, 60),
    "24h": (86_400, 300),
    "7d": (604_800, 1_800),
    "30d": (2_592_000, 7_200),
}
USUAL_RANGE = "1h"
# The greatest number of lines in a chart, those with the highest values: more could not be distinguished.
MOST_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartDefinition:
    """One chart.

    Attributes:
        name: the id of the chart in the page.
        title: the heading of the chart.
        series: the series to draw. A series with no value other than 0 is left out, except the first one.
        names: the names of lines by the name of the series; other lines have the name of their group or label.
        empty: the text that explains a chart without lines.
    """

    name: str
    title: str
    series: tuple[Series, ...]
    empty: str
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The unit of the chart's values. Counters are shown as rates."""
        first = self.series[0]
        return f"{first.unit}/s" if first.kind == "counter" else first.unit


_NO_DURATIONS = "Nothing ended in this time."
OF_STREAM = (
    ChartDefinition(
        name="published",
        title="Published",
        series=(series.PUBLISHED, series.WARNED, series.UNREGISTERED, series.REPLAYED),
        names={
            "published": "stored",
            "warned": "of them against their contract",
            "unregistered": "of them of unknown type",
            "replayed": "sent again, stored once",
        },
        empty="Nothing was sampled in this time.",
    ),
    ChartDefinition(
        name="refused",
        title="Refused, by reason",
        series=(series.REFUSED,),
        empty="No event was refused in this time.",
    ),
    ChartDefinition(
        name="length",
        title="Length, and its limits",
        series=(series.LENGTH,),
        names={"length": "events"},
        empty="Nothing was sampled in this time.",
    ),
    ChartDefinition(
        name="lag",
        title="Lag of each group",
        series=(series.LAG_SECONDS,),
        empty="No group reads this stream.",
    ),
    ChartDefinition(
        name="publish_seconds",
        title="How long publishing takes",
        series=(series.PUBLISH_SECONDS,),
        empty=_NO_DURATIONS,
    ),
    ChartDefinition(
        name="memory",
        title="Memory in Redis",
        series=(series.MEMORY,),
        names={"memory": "bytes"},
        empty="Redis was not asked, or may not tell (its rule for MEMORY USAGE).",
    ),
)
OF_GROUP = (
    ChartDefinition(
        name="throughput",
        title="Delivered and failed attempts",
        series=(series.ACKNOWLEDGED, series.FAILED, series.FILTERED),
        names={"acknowledged": "delivered", "failed": "failed", "filtered": "not wanted"},
        empty="Nothing was sampled in this time.",
    ),
    ChartDefinition(
        name="failures",
        title="Failed attempts, by what kind of failure",
        series=(series.FAILURES,),
        empty="No attempt failed in this time.",
    ),
    ChartDefinition(
        name="backlog",
        title="Backlog, by place",
        series=(series.LAG_EVENTS, series.IN_FLIGHT, series.SCHEDULED, series.BLOCKED, series.DEAD),
        names={
            "lag_events": "not read",
            "in_flight": "in flight",
            "scheduled": "scheduled for retry",
            "blocked": "blocked by key",
            "dead": "dead letters",
        },
        empty="Nothing was sampled in this time.",
    ),
    ChartDefinition(
        name="lag",
        title="Lag",
        series=(series.LAG_SECONDS,),
        names={"lag_seconds": "age of the oldest unread event"},
        empty="Nothing was sampled in this time.",
    ),
    ChartDefinition(
        name="attempt_seconds",
        title="How long an attempt takes",
        series=(series.ATTEMPT_SECONDS,),
        empty=_NO_DURATIONS,
    ),
    ChartDefinition(
        name="delivered_seconds",
        title="From publish to delivery",
        series=(series.DELIVERED_SECONDS,),
        empty=_NO_DURATIONS,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time range, cut into points.

    Attributes:
        span: the steps that are read; the last of them may belong to an incomplete point.
        step: seconds from one point to the next.
    """

    span: Span
    step: int

    @property
    def together(self) -> int:
        """The number of steps in one point."""
        return self.step // self.span.resolution.seconds

    @property
    def until(self) -> int:
        """The time when the last step ends, in seconds since 1970."""
        return (self.span.last + 1) * self.span.resolution.seconds


def window_of(name: str, *, now: int) -> Window:
    """Return the time range with this name in `RANGES`, up to now."""
    seconds, step = RANGES[name]
    resolution = next(one for one in RESOLUTIONS if one.kept >= seconds and step % one.seconds == 0)
    first = (now - seconds) // step * step // resolution.seconds
    # At the finest resolution, a step is complete with its sample; at the others, a step exists when it is over.
    last = now // resolution.seconds - (resolution is not FINEST)
    return Window(span=Span(resolution=resolution, first=first, last=last), step=step)


def read_charts(
    stream: str, definitions: Sequence[ChartDefinition], window: Window, *, group: str | None = None, now: int
) -> Conversation[dict[str, Any]]:
    """Return the charts of a stream, or of one of its groups, in the form that pages draw.

    Args:
        stream: the name of the stream.
        definitions: the charts.
        window: the time range.
        group: the group, for charts of a group; None for all groups.
        now: the time in seconds since 1970.

    Returns:
        `begins` and `until` (seconds since 1970), `step` (seconds from one point to the next), `sampled` (seconds of
        the last point that were sampled), and `charts`, each with its `lines`: their `values` are None where nothing
        was sampled.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    shown = series.select(*(each for definition in definitions for each in definition.series))
    if group is not None:
        shown = shown._replace(groups=frozenset(("", group)))
    # The last step may not be sampled yet: that is not a gap.
    charts = history.read_history([stream], window.span, shown, now=now, instead=window.span.shorter)
    found = yield from together({"charts": charts, "latest": _read_latest(stream, shown, now=now)}, failures=())
    rows, latest = found["charts"].streams[stream], found["latest"]
    window = Window(span=found["charts"].span, step=window.step)
    last_point = (window.span.last - window.span.first) % window.together + 1
    return {
        "begins": window.span.begins,
        "until": window.until,
        "step": window.step,
        "sampled": last_point * window.span.resolution.seconds,
        "resolution": window.span.resolution.seconds,
        "stream": stream,
        "charts": [_chart_as_dict(definition, rows, window, latest) for definition in definitions],
    }


def _read_latest(stream: str, wanted: Selection, *, now: int) -> Conversation[Mapping[Key, int]]:
    """Return the current values of gauges. A point of a chart has the highest value within its time instead."""
    tick = now // FINEST.seconds
    found = yield from history.read_history(
        [stream], Span(resolution=FINEST, first=tick - 1, last=tick), wanted, now=now
    )
    return {key: value for key, row in found.streams[stream].items() for value in row if value is not None}


def _chart_as_dict(
    definition: ChartDefinition, rows: Rows, window: Window, latest: Mapping[Key, int]
) -> dict[str, Any]:
    lines = [
        (each, key, _compute_points(each, row, window))
        for each in definition.series
        for key, row in sorted(rows.items())
        if key.number == each.number and (each is definition.series[0] or any(row))
    ]
    further = max(0, len(lines) - MOST_LINES)
    if further:
        lines.sort(key=lambda line: -max(value for value in line[2] if value is not None))
    return {
        "name": definition.name,
        "title": definition.title,
        "unit": definition.unit,
        "empty": definition.empty,
        "series": [each.name for each in definition.series],
        "further": further,
        "lines": [
            {
                "name": definition.names.get(each.name) or _line_name(key),
                "series": each.name,
                "kind": each.kind,
                "group": key.group,
                "label": key.label,
                "now": each.from_stored(latest[key]) if each.kind == "gauge" and key in latest else None,
                "values": points,
            }
            for each, key, points in lines[:MOST_LINES]
        ],
    }


def _line_name(key: Key) -> str:
    if BY_NUMBER[key.number].label == "quantile":
        return f"{float(key.label) * 100:g} % are not longer"
    return key.label or key.group


def _compute_points(each: Series, row: Row, window: Window) -> list[float | None]:
    """Return the values of points: rates over their sampled parts, or their highest values."""
    together, seconds = window.together, window.span.resolution.seconds
    found: list[float | None] = []
    for at in range(0, len(row), together):
        known = [value for value in row[at : at + together] if value is not None]
        if not known:
            found.append(None)
        elif each.kind == "counter":
            found.append(_round_for_chart(sum(known) / (len(known) * seconds)))
        else:
            found.append(_round_for_chart(each.from_stored(max(known))))
    return found


def _round_for_chart(value: float) -> float:
    """Round a value to the digits that a chart can show."""
    return int(value) if value == int(value) else float(f"{value:.5g}")
