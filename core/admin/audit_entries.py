"""Admin pages of the audit log: entries that nobody can change, and a timeline of sentences."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from core import audit_query
from core.admin.base import RestrictedAdmin, person
from core.admin.revisions import DifferenceLine, json_difference
from core.audit_query import AuditFilter
from core.models import AuditEntry
from core.templatetags.synapse import moment, visible

PAGE_SIZE = 30
# The filters offer the actors and actions of this many newest entries.
LOOKED_AT = 2000
SPANS: Mapping[str, tuple[str, timedelta | None]] = {
    "hour": ("The last hour", timedelta(hours=1)),
    "day": ("The last day", timedelta(days=1)),
    "week": ("The last seven days", timedelta(days=7)),
    "all": ("From the beginning", None),
}
_FILTERS = ("actor", "action", "target")


def show_timeline(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the filtered timeline of the audit log, newest first."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    span = request.GET.get("span", "") if request.GET.get("span") in SPANS else "hour"
    query = {name: text for name in _FILTERS if (text := request.GET.get(name, "").replace("\0", "").strip())}
    length = SPANS[span][1]
    since = None if length is None else timezone.now() - length
    wanted = AuditFilter(
        actor=query.get("actor", ""), action=query.get("action", ""), target=query.get("target", ""), since=since
    )
    found = audit_query.page(
        wanted, by=person(request), count=PAGE_SIZE, before=_parse_before(request.GET.get("before", ""))
    )
    newest = list(AuditEntry.objects.order_by("-pk").values_list("actor", "action")[:LOOKED_AT])
    more = {**query, "span": span, "before": str(found.next)}
    request.current_app = admin.admin_site.name
    return TemplateResponse(
        request,
        "core/admin/story.html",
        {
            **admin.admin_site.each_context(request),
            "title": "Audit log",
            "opts": admin.opts,
            "span": span,
            "spans": [(name, title) for name, (title, _) in SPANS.items()],
            "query": query,
            "actors": sorted({actor for actor, _ in newest}),
            "actions": sorted({action for _, action in newest}),
            "rows": [
                (entry, audit_query.sentence(entry.action, entry.target, entry.before, entry.after))
                for entry in found.entries
            ],
            "more": urlencode(more) if found.next else "",
        },
    )


def _parse_before(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class TargetFilter(admin.SimpleListFilter):
    """Filters by the exact target of an entry; the history button of a definition leads here. Only the chosen target is
    offered, since there are too many to list.
    """

    title = "target"
    parameter_name = "target"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(target, visible(target))] if (target := self.value()) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(target=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(RestrictedAdmin):
    list_display = ["when", "who", "action", "what", "key", "address"]
    list_filter = ["action", "kind", "actor", TargetFilter, "at"]
    search_fields = ["action", "target", "actor", "key", "address"]
    search_help_text = "Action, target, actor, key or address."
    # The table can have millions of rows: count only the rows that match, not all rows too.
    show_full_result_count = False
    list_before_template = "core/admin/audit_list.html"
    list_per_page = 25
    change_form_template = "core/admin/audit_entry.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(show_timeline, self))
        return [path("story/", view, name="core_auditentry_story"), *super().get_urls()]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        words = " ".join(audit_query.search_term_of(word) for word in search_term.split(" "))
        return super().get_search_results(request, queryset, words)

    @admin.display(description="when", ordering="id")
    def when(self, entry: AuditEntry) -> str:
        return moment(entry.at)

    @admin.display(description="who", ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        return visible(entry.actor)

    @admin.display(description="what", ordering="target")
    def what(self, entry: AuditEntry) -> str:
        return visible(entry.target)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        changes = [] if entry is None else changes_of(entry)
        context = {"entry": entry, "changes": changes, "subtitle": visible(entry)}
        shown: HttpResponse = super().change_view(request, object_id, form_url, context)
        return shown

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False


def changes_of(entry: AuditEntry) -> list[tuple[str, list[DifferenceLine]]]:
    """Return the names whose values differ, each with the lines of its difference."""
    before = entry.before if isinstance(entry.before, dict) else {}
    after = entry.after if isinstance(entry.after, dict) else {}
    names = [
        name for name in {**before, **after} if (name in before, before.get(name)) != (name in after, after.get(name))
    ]
    return [
        (name, json_difference(before.get(name), after.get(name), was=name in before, is_=name in after))
        for name in names
    ]
