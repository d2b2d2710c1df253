"""A Grafana dashboard of the metrics (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from synapse.metrics import METRICS

# The version of the dashboard's JSON model; newer versions of Grafana migrate it when they load it.
_SCHEMA_VERSION = 39
# Grafana replaces this variable with a range that holds at least four scrapes.
_RANGE = "$__rate_interval"
_STREAM = '{stream=~"$stream"}'
_GROUP = '{stream=~"$stream",group=~"$group"}'
# The width of Grafana's grid, and the size of a panel in it.
_COLUMNS, _STAT_HEIGHT, _CHART_HEIGHT = 24, 4, 8
_STATS_A_ROW, _CHARTS_A_ROW = 6, 3

_MEANINGS = {metric.name: metric.meaning for metric in METRICS}
_METRIC = re.compile(r"\bsynapse_[a-z_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A chart, or one number.

    Attributes:
        title: the subject of the panel.
        unit: Grafana's name of the unit, such as `s`, `short` or `percentunit`.
        queries: PromQL expressions by the legend of their series.
        kind: Grafana's type of panel.
        description: the meaning in a sentence; "" for the meaning of the first metric.
        bad_from: the value from which a number is red; None for never.
    """

    title: str = field(kw_only=False)
    unit: str = field(kw_only=False)
    queries: dict[str, str] = field(kw_only=False)
    kind: Literal["timeseries", "stat"] = "timeseries"
    description: str = ""
    bad_from: float | None = None

    @property
    def explanation(self) -> str:
        """The panel's meaning in a sentence."""
        metrics = (name for query in self.queries.values() for name in _METRIC.findall(query))
        return self.description or next((_MEANINGS[name] for name in metrics if name in _MEANINGS), "")


def _rate_query(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{labels}[{_RANGE}]))"


def _total_rate(metric: str, labels: str) -> str:
    return f"sum(rate({metric}{labels}[{_RANGE}]))"


def _quantile_queries(metric: str, labels: str, by: str, legend: str) -> dict[str, str]:
    return {
        f"{legend} p{round(quantile * 100)}": (
            f"histogram_quantile({quantile}, sum by (le, {by}) (rate({metric}_bucket{labels}[{_RANGE}])))"
        )
        for quantile in (0.5, 0.95, 0.99)
    }


def _number_panel(title: str, unit: str, query: str, *, bad_from: float | None = None, description: str = "") -> Panel:
    return Panel(title, unit, {"": query}, kind="stat", bad_from=bad_from, description=description)


_REFUSED = _total_rate("synapse_events_refused_total", _STREAM)
_PUBLISHED = _total_rate("synapse_events_published_total", _STREAM)
_OF_STREAM, _OF_GROUP = "{{stream}}", "{{stream}} / {{group}}"
ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it well?": (
        _number_panel("Published", "reqps", _PUBLISHED, description="Events a second."),
        _number_panel(
            "Delivered",
            "reqps",
            _total_rate("synapse_group_delivered_total", _GROUP),
            description="Events a second that groups acknowledged.",
        ),
        _number_panel("Worst lag", "s", f"max(synapse_group_lag_seconds{_GROUP})", bad_from=60),
        _number_panel("Dead letters", "short", f"sum(synapse_group_dead_letters{_GROUP})", bad_from=1),
        _number_panel(
            "Refused",
            "percentunit",
            f"{_REFUSED} / clamp_min({_REFUSED} + {_PUBLISHED}, 0.000001)",
            bad_from=0.01,
            description="The share of events that were refused.",
        ),
        _number_panel(
            "Lost in the last hour",
            "short",
            "sum("
            f"increase(synapse_group_lost_total{_GROUP}[1h]) + increase(synapse_group_lost_silent_total{_GROUP}[1h])"
            ")",
            bad_from=1,
        ),
    ),
    "Streams": (
        Panel("Published", "reqps", {_OF_STREAM: _rate_query("synapse_events_published_total", _STREAM, "stream")}),
        Panel(
            "Refused, by reason",
            "reqps",
            {"{{stream}}: {{reason}}": _rate_query("synapse_events_refused_total", _STREAM, "stream, reason")},
        ),
        Panel(
            "Filled",
            "percentunit",
            {_OF_STREAM: f"synapse_stream_events{_STREAM} / synapse_stream_limit_events{_STREAM}"},
            description="The length of the stream, as a share of the length at which it is full.",
        ),
        Panel(
            "Since the last event",
            "s",
            {_OF_STREAM: f"time() - synapse_stream_last_event_timestamp_seconds{_STREAM}"},
            description="How long ago the latest event of the stream was stored.",
        ),
        Panel(
            "Warned, unregistered, duplicates",
            "reqps",
            {
                f"{_OF_STREAM}: {what}": _rate_query(f"synapse_events_{what}_total", _STREAM, "stream")
                for what in ("warned", "unregistered", "duplicates")
            },
            description="Events that break their contract where the stream only warns, events of undefined types,"
            " and events that were sent again under the same key.",
        ),
        Panel(
            "Live viewers",
            "short",
            {
                _OF_STREAM: f"synapse_live_watchers{_STREAM}",
                f"{_OF_STREAM}: dropped": f"increase(synapse_live_dropped_total{_STREAM}[{_RANGE}])",
            },
        ),
    ),
    "Groups and bridges": (
        Panel("Lag", "s", {_OF_GROUP: f"synapse_group_lag_seconds{_GROUP}"}),
        Panel(
            "Backlog",
            "short",
            {
                f"{_OF_GROUP}: {word}": f"synapse_group_{metric}{_GROUP}"
                for word, metric in {
                    "unread": "lag_events",
                    "in flight": "pending_events",
                    "scheduled": "waiting_events",
                    "blocked": "parked_events",
                }.items()
            },
            description="Events by where they wait: not read yet, in flight, scheduled for another attempt, or blocked"
            " by an event with the same key.",
        ),
        Panel("Delivered", "reqps", {_OF_GROUP: _rate_query("synapse_group_delivered_total", _GROUP, "stream, group")}),
        Panel(
            "Failed attempts, by class",
            "reqps",
            {
                f"{_OF_GROUP}: {{{{class}}}}": _rate_query(
                    "synapse_group_failures_total", _GROUP, "stream, group, class"
                )
            },
        ),
        Panel("Dead letters", "short", {_OF_GROUP: f"synapse_group_dead_letters{_GROUP}"}),
        Panel("Overdue", "s", {_OF_GROUP: f"synapse_group_overdue_seconds{_GROUP}"}),
        Panel(
            "Lost",
            "short",
            {
                _OF_GROUP: f"increase(synapse_group_lost_total{_GROUP}[{_RANGE}])",
                f"{_OF_GROUP}: while silent": f"increase(synapse_group_lost_silent_total{_GROUP}[{_RANGE}])",
            },
        ),
        Panel("Consumers", "short", {_OF_GROUP: f"synapse_group_consumers{_GROUP}"}),
        Panel(
            "Taken over",
            "short",
            {
                _OF_GROUP: f"increase(synapse_group_reaped_total{_GROUP}[{_RANGE}])",
                f"{_OF_GROUP}: lease over": f"increase(synapse_group_lease_expiries_total{_GROUP}[{_RANGE}])",
            },
        ),
    ),
    "Durations": (
        Panel(
            "Publish",
            "s",
            _quantile_queries("synapse_publish_seconds", _STREAM, "stream", _OF_STREAM),
            description=_MEANINGS["synapse_publish_seconds"],
        ),
        Panel(
            "Attempt",
            "s",
            _quantile_queries("synapse_attempt_seconds", _GROUP, "stream, group", _OF_GROUP),
            description=_MEANINGS["synapse_attempt_seconds"],
        ),
        Panel(
            "From publish to delivered",
            "s",
            _quantile_queries("synapse_delivered_seconds", _GROUP, "stream, group", _OF_GROUP),
            description=_MEANINGS["synapse_delivered_seconds"],
        ),
    ),
    "Web servers": (
        Panel(
            "Shares in use",
            "percentunit",
            {"{{instance}}: {{resource}}": "synapse_share_used / synapse_share_total"},
            description="How much of each resource of the process is in use.",
        ),
        Panel(
            "Requests refused for a share",
            "reqps",
            {"{{resource}}": _rate_query("synapse_share_refused_total", "", "resource")},
        ),
        Panel(
            "Memory",
            "bytes",
            {"{{instance}}": "process_resident_memory_bytes and on (instance) synapse_build_info"},
            description="Memory of the web server process that answered.",
        ),
        Panel(
            "Processor",
            "percentunit",
            {"{{instance}}": f"rate(process_cpu_seconds_total[{_RANGE}]) and on (instance) synapse_build_info"},
            description="Share of one processor that the web server process uses.",
        ),
        Panel(
            "Version",
            "short",
            {"{{version}} on Python {{python}}": "count by (version, python) (synapse_build_info)"},
            description="Web server processes by version.",
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as the JSON that Grafana imports. Variables select the data source, streams and groups."""
    return {
        "title": "Synapse",
        "uid": "synapse",
        "tags": ["synapse"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _define_variable("stream", "Stream", "label_values(synapse_stream_events, stream)"),
                _define_variable("group", "Group", 'label_values(synapse_group_consumers{stream=~"$stream"}, group)'),
            ]
        },
        "panels": list(_place_panels()),
    }


def _define_variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,  # refreshed with the time range: streams and groups come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def _place_panels() -> Iterator[dict[str, Any]]:
    """Yield the panels with their positions, below the heading of their row."""
    number, top = 1, 0
    for title, panels in ROWS.items():
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "gridPos": _position_json(0, top, _COLUMNS, 1),
            "panels": [],
        }
        number, top = number + 1, top + 1
        across, height = (_STATS_A_ROW, _STAT_HEIGHT) if panels[0].kind == "stat" else (_CHARTS_A_ROW, _CHART_HEIGHT)
        width = _COLUMNS // across
        for place, panel in enumerate(panels):
            down, right = divmod(place, across)
            yield {
                "id": number,
                "gridPos": _position_json(right * width, top + down * height, width, height),
                **_panel_json(panel),
            }
            number += 1
        top += -(-len(panels) // across) * height


def _position_json(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel_json(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.explanation,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for place, (legend, query) in enumerate(panel.queries.items())
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": (
            {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
            if panel.kind == "stat"
            else {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        ),
    }
