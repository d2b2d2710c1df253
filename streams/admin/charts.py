"""Charts on the pages of streams and groups: the time range that is asked for, values, and marks for changes."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from core import audit_query
from core.models import AuditEntry
from streams.models import EventType, Stream
from synapse.inspection.groups import owners
from synapse.problems import Problem
from synapse.redis import Conversation
from synapse.statistics.charts import RANGES, USUAL_RANGE, ChartDefinition, Window, read_charts, window_of

_TITLES = {
    "15m": "15 minutes",
    "1h": "hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}
# Actions that change a definition, or the position or pace of a group. Reading events is in the audit log, too.
_CHANGES = (
    *("create", "change", "update", "delete", "expire", "move", "pause", "resume", "disable"),
    *("activate", "deprecate", "roll back", "configure", "delete for good"),
)
# The latest of them that are shown.
MOST_MARKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCharts:
    """The charts that a request asks for.

    Attributes:
        name: the time range, one of `RANGES`.
        unknown: what was asked for in place of one of them, "" otherwise.
        window: the time range, in seconds since 1970.
        conversation: reads the values.
    """

    name: str
    unknown: str
    window: Window
    conversation: Conversation[dict[str, Any]]


def ask_for(
    request: HttpRequest, stream: str, definitions: Sequence[ChartDefinition], *, group: str | None = None
) -> AskedCharts:
    """Return what reads the charts of a stream or group over the time range that the request names."""
    text, now = request.GET.get("range", USUAL_RANGE), int(time.time())
    name = text if text in RANGES else USUAL_RANGE
    window = window_of(name, now=now)
    conversation = read_charts(stream, definitions, window, group=group, now=now)
    return AskedCharts(name=name, unknown="" if name == text else text[:40], window=window, conversation=conversation)


def shown(
    request: HttpRequest,
    asked: AskedCharts,
    found: dict[str, Any] | Problem,
    *,
    targets: Collection[str],
    group: str = "",
    limits: Sequence[tuple[str, int]] = (),
) -> dict[str, Any]:
    """Return what `core/admin/charts.html` shows.

    Args:
        request: the request, whose person may or may not see the audit log.
        asked: the charts that it asks for.
        found: their values, or why there are none.
        targets: what the audit log calls the definitions of which changes are marked.
        group: the group that the charts are about, "" for all of a stream.
        limits: names and values of the limits of the stream's length.
    """
    ranges = [{"name": name, "title": _TITLES[name], "active": name == asked.name} for name in RANGES]
    page = {"ranges": ranges, "title": _TITLES[asked.name], "unknown": asked.unknown}
    if isinstance(found, Problem):
        return page | {"problem": found}
    data = found | {"range": RANGES[asked.name][0], "group": group, "marks": _marks(request, asked.window, targets)}
    for chart in data["charts"]:
        if chart["name"] == "length":
            chart["limits"] = [{"name": name, "value": value} for name, value in limits if value]
    return page | {"data": data, "charts": data["charts"], "marks": data["marks"]}


def targets_of_stream(stream: Stream) -> list[str]:
    """Return what the audit log calls a stream, its event types with their contracts, and its bridges."""
    event_types = EventType.objects.filter(stream=stream).select_related("contract", "stream")
    contracts = [f"contract {one.contract}" for one in event_types if one.contract_id]
    bridges = [f"bridge {owner.name}" for (name, _), owner in owners().items() if name == stream.name]
    return [f"stream {stream.name}", *(f"event type {one}" for one in event_types), *contracts, *bridges]


def _marks(request: HttpRequest, window: Window, targets: Collection[str]) -> list[dict[str, Any]]:
    """Return the latest changes of definitions within a time range, oldest first, as far as the viewer may see them."""
    if not request.user.has_perm("core.view_auditentry"):
        return []
    since = datetime.fromtimestamp(window.span.begins, UTC)
    entries = AuditEntry.objects.filter(target__in=targets, at__gte=since, action__in=_CHANGES)[:MOST_MARKS]
    return [
        {
            "number": place,
            "at": entry.at.timestamp(),
            "text": f"{entry.actor} {audit_query.sentence(entry.action, entry.target, entry.before, entry.after)}",
            "url": reverse("admin:core_auditentry_change", args=[entry.pk]),
        }
        for place, entry in enumerate(reversed(entries), 1)
    ]


def last_hour_marks(request: HttpRequest) -> list[float]:
    """Return when definitions were changed in the last hour, in minutes since its begin."""
    if not request.user.has_perm("core.view_auditentry"):
        return []
    begin = datetime.now(UTC) - timedelta(hours=1)
    moments = AuditEntry.objects.filter(at__gte=begin, action__in=_CHANGES).values_list("at", flat=True)
    return sorted({round((at - begin).total_seconds() / 60) for at in moments[: 10 * MOST_MARKS]})
