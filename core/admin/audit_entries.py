"""The record: to be read. Nobody may add to it, change it or delete from it, superusers neither."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from core import audit_format
from core.admin import audit_timeline
from core.admin.base import RestrictedAdmin
from core.admin.text_diff import Row, json_difference
from core.models import AuditEntry
from core.templatetags.synapse import moment, visible


class TargetFilter(admin.SimpleListFilter):
    """What an entry is about, exactly: where the history of a definition leads. Only the one that is asked for is
    offered, since there are too many to list."""

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
    search_help_text = "What was done, to what, by whom, with which key, from where."
    # A table of millions is counted once, and only what is looked for.
    show_full_result_count = False
    list_before_template = "core/admin/audit_list.html"
    list_per_page = 50
    change_form_template = "core/admin/audit_entry.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(audit_timeline.story, self))
        return [path("story/", view, name="core_auditentry_story"), *super().get_urls()]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        words = " ".join(audit_format.searched(word) for word in search_term.split(" "))
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
        changes = [] if entry is None else changed(entry)
        context = {"entry": entry, "changes": changes, "subtitle": visible(entry)}
        shown: HttpResponse = super().change_view(request, object_id, form_url, context)
        return shown

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False


def changed(entry: AuditEntry) -> list[tuple[str, list[Row]]]:
    """Return what the entry tells of: the names whose values differ, each with the lines that were and are."""
    before = entry.before if isinstance(entry.before, dict) else {}
    after = entry.after if isinstance(entry.after, dict) else {}
    names = [
        name for name in {**before, **after} if (name in before, before.get(name)) != (name in after, after.get(name))
    ]
    return [
        (name, json_difference(before.get(name), after.get(name), was=name in before, is_=name in after))
        for name in names
    ]
