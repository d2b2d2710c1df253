"""Streams in the admin: the list with their states, and their definitions."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from core import payload_access
from core.admin.base import AuditedAdmin, AuditedInline, Page
from core.definition_fields import fieldsets
from core.templatetags.synapse import moment, moment_of_ms, number
from streams import leftovers
from streams.admin import messages, statistics, tabs
from streams.admin.messages import LiveList, attach_overviews
from streams.leftovers import describe_leftovers
from streams.models import EventType, Stream
from synapse.catalog.stream_fields import STREAM_FIELDS
from synapse.inspection import stream_stats
from synapse.redis import Conversation


def _overviews(streams: Sequence[Stream]) -> Conversation[Any]:
    return stream_stats.overviews_of([stream.name for stream in streams])


class StreamList(LiveList):
    """The streams, each with its statistics; a row leads to the stream's messages, or to its groups."""

    overviews = _overviews

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self._page = "messages" if payload_access.may_see(request) else "groups"

    def url_for_result(self, result: Stream) -> str:
        return self.model_admin.page_url(self._page, result.pk)  # type: ignore[no-any-return]


class EventTypeInline(AuditedInline):
    """A stream's event types, to look at; each has a page of its own."""

    model = EventType
    fields = readonly_fields = ("named", "description", "contract")
    can_delete = False
    hide_title = True

    @admin.display(description="name")
    def named(self, event_type: EventType) -> str:
        page = reverse("admin:streams_eventtype_change", args=[event_type.pk])
        return format_html('<a class="s-link" href="{}">{}</a>', page, event_type.name)

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Stream)
class StreamAdmin(AuditedAdmin):
    list_display = ["named", "length", "last_event", "rate", "groups", "lag", "refused", "checks"]
    list_filter = ["enforcement", "layout", "unknown_event_types"]
    search_fields = ["name", "purpose"]
    list_before_template = "streams/admin/stream_list_problem.html"
    change_form_template = "streams/admin/stream.html"
    inlines = [EventTypeInline]
    fieldsets = fieldsets(STREAM_FIELDS, {None: ["name"]})
    pages = (
        Page(path="<int:pk>/statistics/", name="statistics", view=statistics.statistics),
        Page(path="<int:pk>/messages/", name="messages", view=messages.messages),
        Page(path="<int:pk>/messages/<str:id>/", name="message", view=messages.message),
        Page(path="<int:pk>/groups/", name="groups", view=messages.groups),
    )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LiveList]:
        return StreamList

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        if stream := options.get("obj"):
            problem = attach_overviews([stream], _overviews)
            context |= {
                "tabs": tabs.of_stream(request, stream, "Definition"),
                "problem": problem,
                "overview": stream.overview,
            }
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def said_before_deletion(self, row: Any) -> list[str]:
        return describe_leftovers(lambda: leftovers.left_by_stream(row.name))

    def get_readonly_fields(self, request: HttpRequest, obj: Stream | None = None) -> tuple[str, ...]:
        # The name is the key in Redis: under another one the events would be gone.
        return () if obj is None else ("name",)

    @admin.display(description="stream", ordering="name")
    def named(self, stream: Stream) -> str:
        return render_to_string("streams/admin/named.html", {"name": stream.name, "about": stream.purpose})

    @admin.display(description="events")
    def length(self, stream: Any) -> str:
        return _cell("length", stream)

    @admin.display(description="last event")
    def last_event(self, stream: Any) -> str:
        return "—" if stream.overview is None else moment(moment_of_ms(stream.overview.last_ms))

    @admin.display(description="per minute")
    def rate(self, stream: Any) -> str:
        return _cell("rate", stream)

    @admin.display(description="groups")
    def groups(self, stream: Any) -> str:
        return number(stream.overview and stream.overview.figures.groups)

    @admin.display(description="worst lag")
    def lag(self, stream: Any) -> str:
        return _cell("lag", stream)

    @admin.display(description="contracts", ordering="enforcement")
    def checks(self, stream: Stream) -> str:
        return stream.enforcement

    @admin.display(description="refused")
    def refused(self, stream: Any) -> str:
        return _cell("refused", stream)


def _cell(name: str, stream: Any) -> str:
    return render_to_string(f"streams/admin/{name}.html", {"overview": stream.overview, "stream": stream})
