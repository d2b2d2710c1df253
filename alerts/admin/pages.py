"""The pages of firing and pending alerts, and of their history."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from alerts import current
from alerts.current import STALE, CurrentAlerts, HistoryPage
from alerts.snapshot import holder
from core.admin.base import AuditedAdmin, Tab, person
from streams.admin.attention import AttentionLine, FiringAlert
from synapse.alerts import rules
from synapse.formats.text import ALERTS_STREAM
from synapse.http.redis_problems import FAILURES, problem_of

PAGE_SIZE = 50
_PAGES = {
    "now": ("Now", "admin:alerts_alertrule_now", "alerts.view_alertrule"),
    "changes": ("History", "admin:alerts_alertrule_changes", "alerts.view_alertrule"),
    "rules": ("Rules", "admin:alerts_alertrule_changelist", "alerts.view_alertrule"),
    "silences": ("Silences", "admin:alerts_silence_changelist", "alerts.view_silence"),
}


def tabs_for(request: HttpRequest, active: str) -> list[Tab]:
    """Return the tabs of those pages on alerts that the person may see."""
    return [
        Tab(title=title, url=reverse(url), active=name == active)
        for name, (title, url, permission) in _PAGES.items()
        if request.user.has_perm(permission)
    ]


def demand_view(admin: AuditedAdmin, request: HttpRequest) -> None:
    """Refuse people without the permission to see rules.

    Raises:
        PermissionDenied: when the person lacks it.
    """
    if not admin.has_view_permission(request):
        raise PermissionDenied


def show_alerts(admin: AuditedAdmin, request: HttpRequest) -> HttpResponse:
    """Show the firing and the pending alerts."""
    demand_view(admin, request)
    problem, found = None, CurrentAlerts([], None)
    at = time.time()
    try:
        found = current.list_alerts(person(request).rights, now=at)
    except FAILURES as failure:
        problem = problem_of(failure)
    silent = None if found.evaluated_at is None else at - found.evaluated_at
    return admin.show(
        request,
        "alerts/admin/now.html",
        title="Alerts",
        opts=None,
        tabs=tabs_for(request, "now"),
        problem=problem,
        alerts=_alert_rows(request, found.alerts),
        is_stale=problem is None and (silent is None or silent > STALE),
        silent=silent,
        **_delivery_context(request),
    )


# By condition, the kinds of lines on the first page that report the same trouble.
_KINDS: Mapping[str, Collection[str]] = {
    rules.LAG.name: ["lagging"],
    rules.DRAIN.name: ["lagging"],
    rules.DEAD.name: ["dead"],
    rules.DEAD_RATE.name: ["dead"],
    rules.REFUSED.name: ["refusing", "full"],
    rules.DOWN.name: ["stopped", "failing", "waiting"],
    rules.DISABLED.name: ["stopped"],
    rules.FAILING.name: ["failing"],
    rules.LOST.name: ["lost"],
    rules.FULL.name: ["full"],
}


def firing_alerts(request: HttpRequest) -> list[FiringAlert]:
    """Return the firing alerts that are not silenced, for the first page."""
    if not request.user.has_perm("alerts.view_alertrule"):
        return []
    try:
        found = current.list_alerts(person(request).rights, now=time.time())
    except FAILURES:
        # The first page reports the failure itself.
        return []
    firing = [alert for alert in found.alerts if alert["state"] == "firing" and not alert["silenced"]]
    page = Tab(title="Alerts", url=reverse("admin:alerts_alertrule_now"))
    return [
        FiringAlert(kinds=_KINDS.get(alert["condition"], ()), line=_attention_line(alert, page))
        for alert in _alert_rows(request, firing)
    ]


def _attention_line(alert: Mapping[str, Any], page: Tab) -> AttentionLine:
    actions = [page]
    if "silence" in alert:
        actions.append(Tab(title="Silence", url=alert["silence"]))
    return AttentionLine(
        kind="alert",
        is_bad=alert["severity"] == "critical",
        text="",
        since=alert["since"],
        name=alert["sentence"],
        url=alert["link"],
        actions=actions,
        place=(alert.get("stream", ""), alert.get("group", "")),
        alert=alert["severity"],
    )


def show_changes(admin: AuditedAdmin, request: HttpRequest) -> HttpResponse:
    """Show fired and resolved alerts, the latest first."""
    demand_view(admin, request)
    problem, found = None, HistoryPage([], "")
    try:
        found = current.list_changes(person(request).rights, count=PAGE_SIZE, before=request.GET.get("before", ""))
    except FAILURES as failure:
        problem = problem_of(failure)
    return admin.show(
        request,
        "alerts/admin/changes.html",
        title="Alerts",
        opts=None,
        tabs=tabs_for(request, "changes"),
        problem=problem,
        changes=_alert_rows(request, found.changes),
        older=urlencode({"before": found.next}) if found.next else "",
    )


def _alert_rows(request: HttpRequest, alerts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts with times as datetimes, and with the URL of the form that silences them."""
    form = reverse("admin:alerts_silence_add") if request.user.has_perm("alerts.add_silence") else ""
    shown = [{**alert, "since": _parse_time(alert["since"]), "at": _parse_time(alert["at"])} for alert in alerts]
    for alert in shown:
        if form and alert["state"] != "resolved":
            alert["silence"] = f"{form}?{urlencode({'rule': alert['rule'], 'subject': _name_of(alert)})}"
    return shown


def _name_of(alert: Mapping[str, Any]) -> str:
    """Return the name that a silence has to match to apply to this alert's subject."""
    if "bridge" in alert:
        return str(alert["bridge"])
    if "group" in alert:
        return f"{alert['stream']}/{alert['group']}"
    return str(alert.get("key") or alert.get("stream") or "redis")


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _delivery_context(request: HttpRequest) -> dict[str, Any]:
    """Return context for the template: the names of the bridges that deliver alerts, and whether the person may add
    one.
    """
    carrying: Sequence[str] = ()
    if request.user.has_perm("bridges.view_bridge"):
        carrying = sorted(each.name for each in holder.current().bridges.values() if each.stream == ALERTS_STREAM)
    return {"carrying": carrying, "may_deliver": request.user.has_perms(["bridges.add_bridge", "alerts.add_alertrule"])}
