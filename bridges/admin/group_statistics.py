"""The statistics of one group, on its own page and on that of its bridge: charts, trend, and what fails."""

import time
from typing import Any

from django.http import HttpRequest

from bridges import dead_letters
from bridges.models import Bridge
from core import payload_access
from core.admin.base import person
from streams.admin import charts
from streams.connections import ask_all
from streams.models import Stream
from synapse.http.redis_problems import FAILURES
from synapse.problems import Problem
from synapse.statistics.charts import OF_GROUP
from synapse.statistics.overview import read_trend

# So many of the newest dead letters are grouped by their error, and so many errors are shown.
_MOST_LETTERS, _MOST_ERRORS = 1_000, 5


def read(request: HttpRequest, stream: Stream, group: str) -> dict[str, Any]:
    """Return what `bridges/admin/group_statistics.html` shows."""
    asked = charts.ask_for(request, stream.name, OF_GROUP, group=group)
    now = int(time.time())
    found = ask_all({"charts": asked.conversation, "trend": read_trend(stream.name, group, now=now)})
    bridge = Bridge.objects.filter(stream=stream, group=group).first()
    targets = [
        f"group {group} of {stream.name}",
        f"stream {stream.name}",
        *([f"bridge {bridge.name}"] if bridge else []),
    ]
    return {
        "charts": charts.shown(request, asked, found["charts"], targets=targets, group=group),
        "trend": "" if isinstance(found["trend"], Problem) else found["trend"],
        "errors": _errors(request, stream, group),
    }


def trend_of(stream: str, group: str) -> str:
    """Return in words how the backlog of a group develops, "" when it is unknown."""
    found = ask_all({"trend": read_trend(stream, group, now=int(time.time()))})["trend"]
    return "" if isinstance(found, Problem) else found


def _errors(request: HttpRequest, stream: Stream, group: str) -> Any:
    """Return the dead letters by their error, None for those who may not see payloads, which errors quote."""
    if not payload_access.may_see(request):
        return None
    try:
        found = dead_letters.by_error(stream.name, group, by=person(request), most=_MOST_LETTERS)
    except FAILURES:
        return None
    return {"groups": found.groups[:_MOST_ERRORS], "further": len(found.groups[_MOST_ERRORS:]), "most": _MOST_LETTERS}
