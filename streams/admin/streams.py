"""Streams in the admin: the list with their states, and their definitions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.widgets import TEXTAREA_CLASSES  # type: ignore[import-untyped]

from core import payload_access
from core.admin.base import AuditedAdmin, AuditedInline, Page, fieldsets
from core.admin.json_field import JsonValue, refuse
from core.admin.list_fields import Column, MappingField, NamesField, RowsField
from core.templatetags.synapse import moment, moment_of_ms, number
from streams import leftovers
from streams.admin import refusals, statistics, tabs
from streams.admin.event_types import give_contract, may_make_contracts
from streams.admin.events import event_import, event_pages, explorer, find, messages, test_event
from streams.admin.events.messages import LiveList, attach_overviews
from streams.admin.events.test_event import find_example_errors
from streams.leftovers import describe_leftovers
from streams.models import EventType, Stream
from streams.templatetags.stream_cells import refused_count, stream_length
from synapse.catalog.stream_definitions import CLOUDEVENTS_TYPES, CORRELATION, LABELS, STREAM_FIELDS, SUMMARIES
from synapse.inspection import stream_stats
from synapse.redis import Conversation
from synapse.statistics.overview import read_histories


def _read_overviews(streams: Sequence[Stream]) -> Conversation[Any]:
    return stream_stats.overviews_of([stream.name for stream in streams])


class StreamList(LiveList):
    """The streams with their statistics. A row links to messages, or without payload access to groups."""

    overviews = _read_overviews

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self._page = "messages" if payload_access.may_see(request) else "groups"

    def further_conversations(self) -> Mapping[str, Conversation[Mapping[str, Any]]]:
        return {"past": read_histories([stream.name for stream in self.result_list], with_hour=False)}

    def url_for_result(self, result: Stream) -> str:
        return self.model_admin.page_url(self._page, result.pk)  # type: ignore[no-any-return]


class EventTypeInline(AuditedInline):
    """A stream's event types, read-only, with links to their pages."""

    model = EventType
    fields = readonly_fields = ("name_cell", "description", "contract")
    can_delete = False
    hide_title = True

    @admin.display(description="name")
    def name_cell(self, event_type: EventType) -> str:
        page = reverse("admin:streams_eventtype_change", args=[event_type.pk])
        return format_html('<a class="s-link" href="{}">{}</a>', page, event_type.name)

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


class NewEventTypeForm(forms.ModelForm):
    """The form of an event type of a new stream: its name, and an example from which its contract is made."""

    example = JsonValue(required=False, widget=forms.Textarea({"rows": 1, "class": " ".join(TEXTAREA_CLASSES)}))

    class Meta:
        model = EventType
        fields = ["name", "example"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("name") and values.get("example") is not None:
            found = find_example_errors(stream="new", name=values["name"], example=values["example"], contract=None)
            refuse(self, "example", self["example"].data or "", found)
        return values


class NewEventTypeInline(AuditedInline):
    """The event types in the form of a new stream."""

    model = EventType
    form = NewEventTypeForm
    fields = ("name", "example")
    extra = 3
    verbose_name_plural = "Event types, each with an example event from which its contract is made"


class SummariesField(RowsField):
    """The summaries of a stream (`synapse.catalog.summaries`), one per row."""

    columns = (
        Column(name="title", label="Title", placeholder="Inferences"),
        Column(name="completed", label="Completed: event types", placeholder="inference-complete"),
        Column(name="failed", label="Failed: event types", placeholder="inference-error"),
        Column(name="by", label="By: property", placeholder="model_name"),
        Column(name="measure", label="Measure: property", placeholder="latency_ms"),
        Column(name="unit", label="Unit", placeholder="ms"),
    )

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        return [
            {
                name: re.split(r"[,\s]+", text.strip()) if name in ("completed", "failed") else text.strip()
                for name, text in row.items()
                if text.strip()
            }
            for row in rows
        ]

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [
            {name: ", ".join(each) if isinstance(each, list) else each for name, each in row.items()} for row in value
        ]


class StreamForm(forms.ModelForm):
    """The form of a stream, with labels, types of CloudEvents and summaries as rows."""

    labels = MappingField(required=False, help_text=LABELS.help)
    correlation = NamesField(required=False, help_text=CORRELATION.help)
    cloudevents_types = MappingField(label="CloudEvents types", required=False, help_text=CLOUDEVENTS_TYPES.help)
    summaries = SummariesField(required=False, help_text=SUMMARIES.help)


@admin.register(Stream)
class StreamAdmin(AuditedAdmin):
    form = StreamForm
    list_display = ["name_cell", "length", "last_event", "rate", "groups", "lag", "refused", "checks"]
    list_filter = ["enforcement", "layout", "unknown_event_types"]
    search_fields = ["name", "purpose"]
    list_before_template = "streams/admin/stream_list_problem.html"
    change_form_template = "streams/admin/stream.html"
    fieldsets = fieldsets(STREAM_FIELDS, {None: ["name"]})
    pages = (
        Page(path="<int:pk>/statistics/", name="statistics", view=statistics.show_statistics),
        Page(path="explorer/", name="explorer", view=explorer.show_explorer),
        Page(path="<int:pk>/messages/", name="messages", view=explorer.redirect_stream),
        Page(path="<int:pk>/messages/<str:id>/", name="message", view=messages.show_message),
        Page(path="<int:pk>/messages/<str:id>/publish/", name="publish_again", view=test_event.publish_again),
        Page(path="<int:pk>/groups/", name="groups", view=messages.show_groups),
        Page(path="<int:pk>/import/", name="import", view=event_import.import_events),
        Page(path="<int:pk>/refusals/", name="refusals", view=refusals.show_refusals),
        Page(path="compare/", name="compare", view=event_pages.compare),
        Page(path="find/", name="find", view=find.find_event),
    )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LiveList]:
        return StreamList

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        if stream := options.get("obj"):
            problem = attach_overviews([stream], _read_overviews)
            context |= {
                "tabs": tabs.of_stream(request, stream, "Definition"),
                "problem": problem,
                "overview": stream.overview,
                "additions": tabs.addition_tabs(request, stream),
            }
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def get_inlines(self, request: HttpRequest, obj: Stream | None) -> list[Any]:
        return [NewEventTypeInline] if obj is None else [EventTypeInline]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if not change and may_make_contracts(request):
            for row in formset.forms:
                if row.has_changed() and row.instance.example is not None:
                    give_contract(request, row.instance)
        super().save_formset(request, form, formset, change)

    def response_add(self, request: HttpRequest, obj: Stream, post_url_continue: str | None = None) -> HttpResponse:
        # The page of the new stream offers the next steps: publishers, readers, bridges.
        if {"_addanother", "_continue", IS_POPUP_VAR} & set(request.POST):
            shown: HttpResponse = super().response_add(request, obj, post_url_continue)
            return shown
        self.message_user(request, f"The stream “{obj.name}” is there. Now define its publishers and readers.")
        return redirect(self.page_url("change", obj.pk))

    def deletion_warnings(self, row: Any) -> list[str]:
        return describe_leftovers(lambda: leftovers.leftovers_of_stream(row.name))

    def get_readonly_fields(self, request: HttpRequest, obj: Stream | None = None) -> tuple[str, ...]:
        # The name is the key in Redis: a renamed stream would have no events.
        return () if obj is None else ("name",)

    @admin.display(description="stream", ordering="name")
    def name_cell(self, stream: Stream) -> str:
        return render_to_string("streams/admin/named.html", {"name": stream.name, "about": stream.purpose})

    @admin.display(description="events")
    def length(self, stream: Any) -> str:
        return stream_length(stream, stream.overview)

    @admin.display(description="last event")
    def last_event(self, stream: Any) -> str:
        return "—" if stream.overview is None else moment(moment_of_ms(stream.overview.last_ms))

    @admin.display(description="per minute")
    def rate(self, stream: Any) -> str:
        return _render_cell("rate", stream)

    @admin.display(description="groups")
    def groups(self, stream: Any) -> str:
        return number(stream.overview and stream.overview.figures.groups)

    @admin.display(description="worst lag")
    def lag(self, stream: Any) -> str:
        return _render_cell("worst_lag", stream)

    @admin.display(description="contracts", ordering="enforcement")
    def checks(self, stream: Stream) -> str:
        return stream.enforcement

    @admin.display(description="refused")
    def refused(self, stream: Any) -> str:
        return refused_count(stream.overview)


def _render_cell(name: str, stream: Any) -> str:
    return render_to_string(
        f"streams/admin/{name}.html", {"overview": stream.overview, "past": stream.past, "stream": stream}
    )
