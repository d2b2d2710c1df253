"""Charts on the pages of streams and groups: their time range, values, and marks for changes of definitions."""

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
# The number of changes that are marked: the latest.
MOST_MARKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartQuery:
    """The charts that a request selects.

    Attributes:
        name: the time range, one of `RANGES`.
        unknown: the requested range when it is not one of `RANGES`, "" otherwise.
        window: the time range, in seconds since 1970.
        conversation: reads the values.
    """

    name: str
    unknown: str
    window: Window
    conversation: Conversation[dict[str, Any]]


def chart_query_of(
    request: HttpRequest, stream: str, definitions: Sequence[ChartDefinition], *, group: str | None = None
) -> ChartQuery:
    """Return the query for the charts of a stream or group over the time range that the request names."""
    text, now = request.GET.get("range", USUAL_RANGE), int(time.time())
    name = text if text in RANGES else USUAL_RANGE
    window = window_of(name, now=now)
    conversation = read_charts(stream, definitions, window, group=group, now=now)
    return ChartQuery(name=name, unknown="" if name == text else text[:40], window=window, conversation=conversation)


def build_context(
    request: HttpRequest,
    asked: ChartQuery,
    found: dict[str, Any] | Problem,
    *,
    targets: Collection[str],
    group: str = "",
    limits: Sequence[tuple[str, int]] = (),
) -> dict[str, Any]:
    """Return the context of `core/admin/charts.html`.

    Args:
        request: the person's request; marks need the permission to see the audit log.
        asked: the charts that the request selects.
        found: the values of the charts, or why there are none.
        targets: the audit log's names of the definitions whose changes are marked.
        group: the group of the charts, "" for charts of a whole stream.
        limits: names and values of the limits of the stream's length.
    """
    ranges = [{"name": name, "title": _TITLES[name], "active": name == asked.name} for name in RANGES]
    page = {"ranges": ranges, "title": _TITLES[asked.name], "unknown": asked.unknown}
    if isinstance(found, Problem):
        return page | {"problem": found}
    data = found | {
        "range": RANGES[asked.name][0],
        "group": group,
        "marks": _find_marks(request, asked.window, targets),
    }
    for chart in data["charts"]:
        if chart["name"] == "length":
            chart["limits"] = [{"name": name, "value": value} for name, value in limits if value]
    return page | {"data": data, "charts": data["charts"], "marks": data["marks"]}


def targets_of_stream(stream: Stream) -> list[str]:
    """Return the audit log's names of a stream, its event types with their contracts, and its bridges."""
    event_types = EventType.objects.filter(stream=stream).select_related("contract", "stream")
    contracts = [f"contract {one.contract}" for one in event_types if one.contract_id]
    bridges = [f"bridge {owner.name}" for (name, _), owner in owners().items() if name == stream.name]
    return [f"stream {stream.name}", *(f"event type {one}" for one in event_types), *contracts, *bridges]


def _find_marks(request: HttpRequest, window: Window, targets: Collection[str]) -> list[dict[str, Any]]:
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
    """Return the times at which definitions were changed in the last hour, in minutes since one hour ago."""
    if not request.user.has_perm("core.view_auditentry"):
        return []
    begin = datetime.now(UTC) - timedelta(hours=1)
    moments = AuditEntry.objects.filter(at__gte=begin, action__in=_CHANGES).values_list("at", flat=True)
    return sorted({round((at - begin).total_seconds() / 60) for at in moments[: 10 * MOST_MARKS]})
