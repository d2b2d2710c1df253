"""Archived events in the admin, read-only, and the summaries of them that streams declare."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.views import ChangeList  # type: ignore[import-untyped]

from bridges import archive, archive_summary
from bridges.models import ArchivedEvent
from core import payload_access
from core.admin.base import MOST_CHOICES, Page, RelatedFilter, RestrictedAdmin, person
from core.templatetags.synapse import moment, visible
from streams.models import EventType
from streams.snapshot import holder
from synapse.catalog import summaries


class ArchiveList(ChangeList):  # type: ignore[misc]
    """A page of the list, with the events masked as the person may see them."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        by = person(request)
        self.result_list = [archive.mask_for_reader(event, by) for event in self.result_list]


class EventTypeFilter(admin.SimpleListFilter):
    """A filter by the event types of the catalog. Finding the types in the table itself would take a scan of all
    rows.
    """

    title = "event type"
    parameter_name = "event_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = EventType.objects.filter(stream__bridges__isnull=False).order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names.distinct()[:MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ArchivedEvent]) -> QuerySet[ArchivedEvent]:
        return queryset.filter(event_type=self.value()) if self.value() else queryset


SPANS = (("The last hour", timedelta(hours=1)), ("The last day", timedelta(days=1)))


def is_offered(request: HttpRequest) -> bool:
    """Say whether the sidebar offers the summaries: the person may see them, and a stream declares one."""
    streams = holder.loaded.streams.values() if holder.loaded else ()
    return request.user.has_perm("bridges.view_archivedevent") and any(stream.summaries for stream in streams)


def list_summaries() -> list[tuple[str, summaries.Summary]]:
    """Return the summaries of all streams, with the stream of each."""
    streams = holder.current().streams.values()
    return [(stream.name, summary) for stream in streams for summary in summaries.parse_summaries(stream.summaries)]


def show_summaries(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """Show for each summary how often its work completed and failed, and its measure."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    now, by = timezone.now(), person(request)
    rows = [
        (
            stream,
            summary,
            [(span, archive_summary.totals_since(stream, summary, now - long, by=by)) for span, long in SPANS],
        )
        for stream, summary in list_summaries()
    ]
    shown: HttpResponse = model_admin.show(
        request, "bridges/admin/summaries.html", title="Summaries", summaries=rows, most=archive_summary.MOST_EVENTS
    )
    return shown


@admin.register(ArchivedEvent)
class ArchivedEventAdmin(RestrictedAdmin):
    list_display = ["name_cell", "stream", "time_published", "time_occurred", "sender", "bridge"]
    list_filter = [("bridge", RelatedFilter), EventTypeFilter, "published_at"]
    list_filter_submit = False
    list_select_related = ["bridge"]
    list_per_page = 25
    # Avoids a second count, of the whole table, which may have millions of rows.
    show_full_result_count = False
    search_fields = ["=entry_id", "=source"]
    pages = (Page(path="summaries/", name="summaries", view=show_summaries),)
    pii_columns = ("event", "note", "occurred_at", "source")
    search_help_text = "An entry's id; and a source, for people who may see PII."
    list_before_template = "bridges/admin/archive_list.html"
    change_form_template = "bridges/admin/archived_event.html"

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ArchiveList]:
        return ArchiveList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {**(extra_context or {}), "has_summaries": bool(list_summaries())}
        shown: HttpResponse = super().changelist_view(request, more)
        return shown

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        payload_access.check_permission(request)
        archived = self.get_object(request, object_id)
        if archived is not None and self.has_view_permission(request, archived):
            payload_access.record(person(request), f"archived event {archived}", [archived.entry_id])
            archived = archive.mask_for_reader(archived, person(request))
        shown: HttpResponse = super().change_view(request, object_id, form_url, {"archived": archived})
        return shown

    @admin.display(description="event")
    def name_cell(self, event: ArchivedEvent) -> str:
        return visible(event.event_type or "(no type)")

    @admin.display(description="published", ordering="published_at")
    def time_published(self, event: ArchivedEvent) -> str:
        return moment(event.published_at)

    @admin.display(description="occurred")
    def time_occurred(self, event: ArchivedEvent) -> str:
        return moment(event.occurred_at)

    @admin.display(description="source")
    def sender(self, event: ArchivedEvent) -> str:
        return visible(event.source or "—")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ArchivedEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ArchivedEvent | None = None) -> bool:
        return False
