"""Bridges in the admin: the list with their states, and their definitions."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from bridges import auto_disable, secrets
from bridges.admin import bridge_actions, dead_letters, groups
from bridges.admin.bridge_form import (
    MADE_ON_SAVING,
    FiltersField,
    OfferedNames,
    ScheduleField,
    SinkForm,
    SinkSettingsField,
    find_offered_names,
    sink_field,
)
from bridges.models import Bridge
from bridges.secrets import free_name
from bridges.sinks import registry
from bridges.sinks.registry import sink_errors, streams_of
from bridges.snapshot import definition_of
from core import payload_access
from core.admin.base import AuditedAdmin, Page, RelatedFilter, Tab, fieldsets, person
from core.admin.list_fields import MappingField, NamesField
from core.templatetags.synapse import number
from streams import leftovers
from streams.admin import tabs
from streams.admin.events.messages import LiveList, attach_overviews
from streams.leftovers import describe_leftovers
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.permission import VIEW_PERSONAL
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS, EVENT_TYPES, FILTERS, LABELS
from synapse.catalog.fields import ADVANCED
from synapse.catalog.file import quote
from synapse.delivery import status
from synapse.delivery.status import Overview
from synapse.redis import Conversation, together
from synapse.statistics.overview import read_failures, read_trend
from synapse.wire.masking import may_hold_pii

# The fields that decide which events of a stream are delivered where, and in which order. Changing them takes the right
# to see PII: otherwise a person could have PII delivered unmasked, or infer it from the delivered events.
_ROUTING = ("stream", "sink", "config", "event_types", "filters", "order_key")
_HOLDS_PII = (
    "Events of the stream {} hold PII, and this decides which of them go where. It takes the permission “Can see "
    f"personal fields of events” ({VIEW_PERSONAL})."
)


def read_overviews(bridges: Sequence[Bridge]) -> Conversation[dict[str, Overview]]:
    """Read the overviews of bridges by name, with the failed attempts of the last two minutes from statistics."""
    asked = {
        "overviews": status.read_overviews([definition_of(bridge) for bridge in bridges]),
        "failed": read_failures(sorted({bridge.stream.name for bridge in bridges})),
    }
    found = yield from together(asked, failures=())
    return {
        name: replace(one, failed_lately=found["failed"].get((one.bridge.stream, one.bridge.group), 0))
        for name, one in found["overviews"].items()
    }


def _read_trends(bridges: Sequence[Bridge]) -> Conversation[dict[str, str]]:
    """Read descriptions of how the backlogs of bridges develop, by the bridges' names."""
    now = int(time.time())
    asked = {bridge.name: read_trend(bridge.stream.name, bridge.group, now=now) for bridge in bridges}
    return (yield from together(asked, failures=()))


class BridgeList(LiveList):
    """The list of bridges with their current states."""

    overviews = read_overviews

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_reasons(request, self.result_list)


class BridgeForm(forms.ModelForm):
    """The form of a bridge. The sink's settings are checked as the sink will read them."""

    event_types = NamesField(required=False, options_of="stream", help_text=EVENT_TYPES.help)
    filters = FiltersField(required=False, help_text=FILTERS.help)
    labels = MappingField(required=False, help_text=LABELS.help)
    retry_schedule = ScheduleField(
        required=False, help_text="Fixed waits between attempts; the last one repeats. Empty: each is twice as long."
    )
    config = SinkSettingsField(required=False, label="Settings")

    class Meta:
        model = Bridge
        fields = ["sink", "config", "name", "stream", "group", *(field.name for field in BRIDGE_FIELDS)]

    # Whether the person may see PII and so choose where it is delivered; and the names that the form offers.
    may_see_pii = False
    offered = OfferedNames()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The names of secrets to create on saving, by the setting that refers to each.
        self.new_secrets: dict[str, str] = {}
        if "group" in self.fields:
            self.fields["group"].required = False
            self.fields["group"].help_text += " Empty: the name of the bridge."
        if "sink" in self.fields:
            self.fields["sink"] = sink_field()
            chosen = self.initial.get("sink")
            self.sinks = {
                name: SinkForm(
                    registry.find_sink(name),
                    self.offered,
                    self.data if self.is_bound and self.data.get("sink") == name else None,
                    prefix=f"config-{name}",
                    initial=self.initial.get("config") or {} if name == chosen else {},
                )
                for name in registry.sink_names()
            }
            self.fields["config"].widget.forms = self.sinks

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if "group" in values and not values["group"]:
            del values["group"]
            if "name" in values:
                values["group"] = values["name"]
        self._name_new_secrets(values)
        self._keep_pii(values)
        # The sink is checked only when that matters: a bridge whose sink can no longer be opened can still be disabled.
        begins = bool(values.get("enabled")) and "enabled" in self.changed_data
        matters = begins or {"sink", "config", "stream"} & set(self.changed_data)
        if {"sink", "config"} <= values.keys() and matters:
            stream = values.get("stream")
            found = sink_errors(values["sink"], values["config"], stream=stream and stream.name)
            found |= {
                f"config.{setting}": f"there is no stream {quote(name)}"
                for setting, name in streams_of(values["sink"], values["config"]).items()
                if not Stream.objects.filter(name=name).exists()
            }
            for field, text in found.items():
                column, _, name = field.partition(".")
                if name not in self.new_secrets:
                    self._add_sink_error(values["sink"], column, name, text)
        return values

    def _add_sink_error(self, sink: str, column: str, setting: str, text: str) -> None:
        if setting in self.sinks[sink].fields:
            self.sinks[sink].add_error(setting, text)
        self.add_error(column, f"{setting}: {text}" if setting else text)

    def _name_new_secrets(self, values: dict[str, Any]) -> None:
        """Choose names for the secrets to create, and put them into the settings."""
        for setting, value in (values.get("config") or {}).items():
            if value == MADE_ON_SAVING:
                name = free_name(str(values.get("name") or "webhook"))
                self.new_secrets[setting] = name
                values["config"] = {**values["config"], setting: name}

    def _keep_pii(self, values: dict[str, Any]) -> None:
        """Refuse changes of where events with PII go by people without the right to see PII. They may still pause and
        resume.
        """
        before = Bridge.objects.filter(pk=self.instance.pk).select_related("stream").first()
        streams = {stream for stream in (before and before.stream, values.get("stream")) if stream}
        with_pii = sorted(one.name for one in streams if may_hold_pii(holder.current().display_definition(one.name)))
        if self.may_see_pii or not with_pii:
            return
        changed = [
            column
            for column in _ROUTING
            if column in values and (before is None or getattr(before, column) != values[column])
        ]
        for column in changed if before else ["stream"]:
            self.add_error(column, _HOLDS_PII.format(quote(with_pii[0])))


def _show_statistics(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the statistics of a bridge; with `figures` in the query, only the numbers above the charts."""
    bridge: Bridge = admin.get_row_or_404(request, pk)
    further = {"trend": _read_trends([bridge])} if "figures" in request.GET else {}
    problem = attach_overviews([bridge], read_overviews, **further)
    attach_reasons(request, [bridge])
    if further:
        context = {"bridge": bridge, "problem": problem, "trend": getattr(bridge, "trend", None)}
        return render(request, "bridges/admin/strip.html", context)
    shown: HttpResponse = admin.show(
        request,
        "bridges/admin/bridge_statistics.html",
        title=f"Statistics of {bridge.name}",
        row=bridge,
        bridge=bridge,
        problem=problem,
        tabs=tabs_of(request, bridge, "Statistics"),
        dead_letters=admin.page_url("dead_letters_group", bridge.stream_id, bridge.group),
        **groups.group_statistics(request, bridge.stream, bridge.group),
    )
    return shown


@admin.register(Bridge)
class BridgeAdmin(AuditedAdmin):
    form = BridgeForm
    list_display = ["name_cell", "state", "sink", "behind", "delivered", "in_flight", "to_retry", "dead"]
    list_filter = ["enabled", "paused", "sink", ("stream", RelatedFilter)]
    list_select_related = ["stream"]
    search_fields = ["name", "group", "stream__name"]
    autocomplete_fields = ["stream"]
    list_before_template = "bridges/admin/bridge_list.html"
    change_form_template = "bridges/admin/bridge.html"
    pages = (
        *bridge_actions.PAGES,
        *dead_letters.PAGES,
        *groups.PAGES,
        Page(path="<int:pk>/statistics/", name="statistics", view=_show_statistics),
    )
    fieldsets = fieldsets(
        BRIDGE_FIELDS, {"Where the events go": ["sink", "config"], None: ["name", "stream"], ADVANCED: ["group"]}
    )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[LiveList]:
        return BridgeList

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change=change, **options)
        form.may_see_pii = request.user.has_perm(VIEW_PERSONAL)
        form.offered = find_offered_names(request.user)
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        for name in form.new_secrets.values():
            value = secrets.create_secret(name, by=person(request))
            messages.warning(request, f"The receiver needs the secret “{name}”, and it is shown only now: {value}")
        super().save_model(request, obj, form, change)

    def deletion_warnings(self, row: Any) -> list[str]:
        return describe_leftovers(lambda: [leftovers.leftovers_of_group(row.stream.name, row.group)])

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        if bridge := options.get("obj"):
            context |= {
                "problem": attach_overviews([bridge], read_overviews),
                "bridge": bridge,
                "tabs": tabs_of(request, bridge, "Definition"),
                "may_act": self.has_change_permission(request, bridge),
                "can_try_out": bridge_actions.can_try_out(bridge),
            }
            attach_reasons(request, [bridge])
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    @admin.display(description="bridge", ordering="name")
    def name_cell(self, bridge: Bridge) -> str:
        about = f"{bridge.stream.name} as {bridge.group}"
        return render_to_string("streams/admin/named.html", {"name": bridge.name, "about": about})

    @admin.display(description="state")
    def state(self, bridge: Any) -> str:
        return _render_cell("state", bridge.overview, bridge=bridge, tells=True)

    @admin.display(description="lag")
    def behind(self, bridge: Any) -> str:
        return _render_cell("behind", bridge.overview)

    @admin.display(description="delivered")
    def delivered(self, bridge: Any) -> str:
        return _render_cell("delivered", bridge.overview)

    @admin.display(description="in flight")
    def in_flight(self, bridge: Any) -> str:
        return number(bridge.overview and bridge.overview.pending)

    @admin.display(description="to retry")
    def to_retry(self, bridge: Any) -> str:
        return number(bridge.overview and bridge.overview.waiting)

    @admin.display(description="dead letters")
    def dead(self, bridge: Any) -> str:
        return _render_cell("dead", bridge.overview, bridge=bridge)


def tabs_of(request: HttpRequest, bridge: Bridge, active: str) -> list[Tab]:
    """Return the pages of a bridge and of its group."""
    own = [("Statistics", "admin:bridges_bridge_statistics"), ("Definition", "admin:bridges_bridge_change")]
    pages = [Tab(title=title, url=reverse(url, args=[bridge.pk]), active=title == active) for title, url in own]
    return [*pages, *tabs.of_group(request, bridge.stream, bridge.group)]


def _render_cell(name: str, found: Overview | None, **more: Any) -> str:
    return render_to_string(f"bridges/admin/{name}.html", {"overview": found, **more})


DISABLED = "It was disabled: "
HIDDEN = "The error is shown only with the permission to see payloads: it may quote events."


def attach_reasons(request: HttpRequest, bridges: Sequence[Any]) -> None:
    """Set two attributes on bridges that have an overview: `why`, the reason for not running or the last error ("" for
    none), and `payloads_seen`, whether the person may see payloads and so gets a link to dead letters. Makes one query
    when a bridge is disabled.
    """
    may_see = payload_access.may_see(request)
    disabled = auto_disable.reasons_of([bridge.name for bridge in bridges if not bridge.enabled])
    for bridge in bridges:
        why = _reason_of(bridge, disabled.get(bridge.name, ""))
        bridge.payloads_seen = may_see
        bridge.why = why if not why or may_see else HIDDEN


def _reason_of(bridge: Any, disabled: str) -> str:
    if not bridge.enabled:
        return f"{DISABLED}{disabled}" if disabled else ""
    return bridge.overview.reason if bridge.overview else ""


_MOST_ON_HOME = 20


def home_values(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the first page's part about bridges, with one query and a few round trips."""
    if not request.user.has_perm("bridges.view_bridge"):
        return {"may_see": False}
    bridges = list(Bridge.objects.select_related("stream")[:_MOST_ON_HOME])
    problem = attach_overviews(bridges, read_overviews)
    attach_reasons(request, bridges)
    return {"may_see": True, "problem": problem, "bridges": bridges}
