"""Bridges in the admin: the list with their states, and their definitions."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from bridges import secrets
from bridges.admin import bridge_actions, dead_letters, groups
from bridges.admin.bridge_fields import find_offered_names
from bridges.admin.bridge_form import BridgeForm
from bridges.admin.bridge_states import attach_reasons, read_overviews, read_trends
from bridges.models import Bridge
from core.admin.base import AuditedAdmin, Page, RelatedFilter, Tab, fieldsets, person
from core.templatetags.synapse import number
from streams import leftovers
from streams.admin import tabs
from streams.admin.events.messages import LiveList, attach_overviews
from streams.leftovers import describe_leftovers
from synapse.auth.permission import VIEW_PERSONAL
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS
from synapse.catalog.fields import ADVANCED
from synapse.delivery.status import Overview


class BridgeList(LiveList):
    """The list of bridges with their current states."""

    overviews = read_overviews

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        attach_reasons(request, self.result_list)


def _show_statistics(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the statistics of a bridge; with `figures` in the query, only the numbers above the charts."""
    bridge: Bridge = admin.get_row_or_404(request, pk)
    further = {"trend": read_trends([bridge])} if "figures" in request.GET else {}
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


_MOST_ON_HOME = 20


def home_values(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the first page's part about bridges, with one query and a few round trips."""
    if not request.user.has_perm("bridges.view_bridge"):
        return {"may_see": False}
    bridges = list(Bridge.objects.select_related("stream")[:_MOST_ON_HOME])
    problem = attach_overviews(bridges, read_overviews)
    attach_reasons(request, bridges)
    return {"may_see": True, "problem": problem, "bridges": bridges}
