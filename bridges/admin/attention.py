"""Bridges that need attention, as lines of the first page with links to pages that help."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Concat
from django.http import HttpRequest
from django.urls import reverse

from bridges.admin.bridge_states import DISABLED, attach_reasons
from bridges.models import Bridge
from bridges.snapshot import definition_of
from core.admin.base import Tab
from core.models import AuditEntry
from core.templatetags.synapse import visible
from streams.admin.attention import AttentionLine
from streams.connections import ask_all
from synapse.delivery import status
from synapse.delivery.status import Overview
from synapse.formats.text import cut
from synapse.inspection.lag import GroupName
from synapse.problems import Problem

# The number of bridges whose status is read, in the order of their names, and of characters shown of a reason.
MOST, _MOST_OF_REASON = 500, 200
# Seconds that a waiting bridge is not reported: by then a changed bridge has started, and a missing sink is often back.
_SETTLED = 10.0


def find_lines(request: HttpRequest) -> list[AttentionLine]:
    """Return a line for each bridge that does not run, waits, or is paused. Takes one or two queries and one round
    trip.
    """
    if not request.user.has_perm("bridges.view_bridge"):
        return []
    bridges: list[Any] = list(Bridge.objects.select_related("stream")[:MOST])
    if not bridges:
        return []
    found = ask_all({"states": status.read_states([definition_of(bridge) for bridge in bridges])})["states"]
    states: Mapping[str, Overview] = {} if isinstance(found, Problem) else found
    for bridge in bridges:
        bridge.overview = states.get(bridge.name)
    attach_reasons(request, bridges)
    changes = _latest_changes([bridge.name for bridge in bridges if bridge.paused or not bridge.enabled])
    lines = (_line_of(request, bridge, changes.get(bridge.name)) for bridge in bridges)
    return [line for line in lines if line is not None]


def pages_of_bridges(request: HttpRequest, places: Collection[GroupName]) -> Mapping[GroupName, Sequence[Tab]]:
    """Return the pages of the bridges that read as these groups."""
    if not request.user.has_perm("bridges.view_bridge"):
        return {}
    rows = Bridge.objects.filter(stream__name__in={stream for stream, _ in places}).select_related("stream")
    named = {(row.stream.name, row.group): row for row in rows}
    return {place: _pages_of(request, named[place]) for place in places if place in named}


def _line_of(request: HttpRequest, bridge: Any, change: AuditEntry | None) -> AttentionLine | None:
    """Return the line of a bridge, None when it runs well or a person disabled it."""
    overview: Overview | None = bridge.overview
    since = change.at if change else None
    kind, text = "", ""
    if not bridge.enabled:
        kind = "stopped" if bridge.why else ""
        text = f"was disabled: {bridge.why.removeprefix(DISABLED)}"
    elif bridge.paused:
        kind, text = "paused", f"is paused{f' by {visible(change.actor)}' if change else ''}: its events wait"
    elif overview is not None and not overview.bridge.is_pulled:
        worst = overview.worst
        since = _time_of(worst.since if worst else overview.last_heard_ms / 1000)
        has_settled = since is None or time.time() - since.timestamp() > _SETTLED
        if worst is None:
            kind, text = "stopped", "does not run: no process delivers its events"
        elif worst.state == "failed" or (worst.state == "waiting" and has_settled):
            kind = "failing" if worst.state == "failed" else "waiting"
            text = f"waits: {bridge.why}" if kind == "waiting" else f"cannot run: {bridge.why}"
    if not kind:
        return None
    pages = _pages_of(request, bridge)
    return AttentionLine(
        kind=kind,
        is_bad=kind != "paused",
        text=cut(visible(text), _MOST_OF_REASON),
        since=since,
        name=bridge.name,
        url=pages[0].url,
        actions=pages,
        place=(bridge.stream.name, bridge.group),
    )


def _pages_of(request: HttpRequest, bridge: Bridge) -> list[Tab]:
    definition = reverse("admin:bridges_bridge_change", args=[bridge.pk])
    may_act = request.user.has_perm("bridges.change_bridge")
    title = "Definition" if not may_act else "Resume" if bridge.paused else "Pause, test"
    return [
        Tab(title="Bridge", url=reverse("admin:bridges_bridge_statistics", args=[bridge.pk])),
        Tab(title=title, url=definition),
    ]


def _latest_changes(names: Collection[str]) -> Mapping[str, AuditEntry]:
    """Return the latest audit entry that paused or disabled each bridge, by the bridge's name."""
    if not names:
        return {}
    stopping = AuditEntry.objects.filter(Q(after__paused=True) | Q(after__enabled=False))
    # Reads only one entry for each bridge, however often it was paused.
    last = stopping.filter(target=Concat(Value("bridge "), OuterRef("name"))).order_by("-id").values("pk")[:1]
    bridges = Bridge.objects.filter(name__in=names).order_by().values(last=Subquery(last))
    entries = AuditEntry.objects.filter(pk__in=bridges)
    return {entry.target.removeprefix("bridge "): entry for entry in entries}


def _time_of(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
