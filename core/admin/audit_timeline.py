"""What happened, in sentences: the record of the last hour, or of another span, of everybody or of somebody."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from core import audit_format, audit_query
from core.admin.base import person
from core.audit_query import Wanted
from core.models import AuditEntry

PAGE_SIZE = 100
# How many of the newest entries are looked at for who and what can be chosen.
LOOKED_AT = 2000
SPANS: Mapping[str, tuple[str, timedelta | None]] = {
    "hour": ("The last hour", timedelta(hours=1)),
    "day": ("The last day", timedelta(days=1)),
    "week": ("The last seven days", timedelta(days=7)),
    "all": ("From the beginning", None),
}
_FILTERS = ("actor", "action", "target")


def story(admin: Any, request: HttpRequest) -> HttpResponse:
    """Tell what is wanted, the newest first."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    span = request.GET.get("span", "") if request.GET.get("span") in SPANS else "hour"
    query = {name: text for name in _FILTERS if (text := request.GET.get(name, "").replace("\0", "").strip())}
    length = SPANS[span][1]
    since = None if length is None else timezone.now() - length
    wanted = Wanted(
        actor=query.get("actor", ""), action=query.get("action", ""), target=query.get("target", ""), since=since
    )
    found = audit_query.page(wanted, by=person(request), count=PAGE_SIZE, before=_before(request.GET.get("before", "")))
    more = {**query, "span": span, "before": str(found.next)}
    request.current_app = admin.admin_site.name
    return TemplateResponse(
        request,
        "core/admin/story.html",
        {
            **admin.admin_site.each_context(request),
            "title": "What happened",
            "opts": admin.opts,
            "span": span,
            "spans": [(name, title) for name, (title, _) in SPANS.items()],
            "query": query,
            **_choices(),
            "rows": [(entry, _sentence(entry)) for entry in found.entries],
            "more": urlencode(more) if found.next else "",
        },
    )


def _sentence(entry: AuditEntry) -> str:
    return audit_format.sentence(entry.action, entry.target, entry.before, entry.after)


def _choices() -> dict[str, list[str]]:
    """Return who and what can be chosen: those of the newest entries."""
    newest = list(AuditEntry.objects.order_by("-pk").values_list("actor", "action")[:LOOKED_AT])
    return {"actors": sorted({actor for actor, _ in newest}), "actions": sorted({action for _, action in newest})}


def _before(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
