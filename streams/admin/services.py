"""Services in the admin: their grants to publish and subscribe, and the integration status."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.admin.base import AuditedAdmin, AuditedInline, Page, RelatedFilter
from streams import connections
from streams.admin import keys, tabs
from streams.connections import ask_all
from streams.models import Grant, Service, Stream
from streams.snapshot import holder
from synapse.inspection.groups import rename_service
from synapse.inspection.integration_status import (
    ACTIVE_SECONDS,
    LOOKED_AT,
    STREAMS_LOOKED_AT,
    Consumed,
    Observations,
    Published,
    State,
    names_of,
    observe_participants,
    state,
    with_lag,
)
from synapse.inspection.lag import Lag
from synapse.problems import Problem
from synapse.retention.janitor import durable_groups

# The button that saves a new service and issues its first key.
ISSUE = "_issue"
# The number of services on a page, of streams listed for each, and of listed names that belong to no service.
PAGE_SIZE, MOST_STREAMS, MOST_UNKNOWN = 50, 5, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRow:
    """The row of one service. A state is None where the service has no such grant and no such activity was observed.

    `published` and `consumed` are the latest observations; `more_published` and `more_consumed` count the streams
    beyond them.
    """

    service: Service
    publishes: Sequence[Grant]
    subscribes: Sequence[Grant]
    published: Sequence[Published]
    consumed: Sequence[Consumed]
    more_published: int
    more_consumed: int
    publishing: State | None
    consuming: State | None


def integration_rows(services: Iterable[Service], seen: Observations, now_ms: int) -> list[IntegrationRow]:
    """Return a row for each service."""
    return [_build_row(service, seen, now_ms) for service in services]


def show_integration(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the observed activity of every service, and observed names that belong to no service."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    now_ms = int(time.time() * 1000)
    streams = list(Stream.objects.values_list("name", flat=True))
    known = {name for service in Service.objects.values_list("name", flat=True) for name in names_of(service)}
    found = ask_all({"seen": observe_participants(streams, now_ms, holder.current(), known)})["seen"]
    seen = Observations(published={}, consumed={}) if isinstance(found, Problem) else found
    for (stream, source), ms in seen.fresh.items():
        # Record the source by its masked name, so that the next request for the page need not find it again.
        connections.counters.note_sources(stream, {source: source}, f"{ms}-0")
    services = Paginator(admin.get_queryset(request).order_by("name"), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = integration_rows(services, seen, now_ms)
    ours = {group for groups in durable_groups().values() for group in groups}
    sources = [(name, one) for name, each in sorted(seen.published.items()) if name not in known for one in each]
    groups = [one for name, each in sorted(seen.consumed.items()) if name not in known | ours for one in each]
    lags = _read_lags([one for row in rows for one in row.consumed] + groups[:MOST_UNKNOWN])
    page: HttpResponse = admin.show(
        request,
        "streams/admin/integration.html",
        title="Integration status",
        services=services,
        rows=[replace(row, consumed=_add_lags(lags, row.consumed)) for row in rows],
        problem=found if isinstance(found, Problem) else None,
        problems=seen.problems,
        looked_at=LOOKED_AT,
        streams_looked_at=STREAMS_LOOKED_AT,
        unseen=seen.unseen,
        minutes=ACTIVE_SECONDS // 60,
        strange_sources=sources[:MOST_UNKNOWN],
        strange_groups=_add_lags(lags, groups[:MOST_UNKNOWN]),
        more_strangers=len(sources[MOST_UNKNOWN:]) + len(groups[MOST_UNKNOWN:]),
    )
    return page


def _read_lags(consumed: Sequence[Consumed]) -> Mapping[tuple[str, str], Lag]:
    found = ask_all({"lags": with_lag(consumed)})["lags"]
    return {} if isinstance(found, Problem) else found


def _add_lags(lags: Mapping[tuple[str, str], Lag], consumed: Sequence[Consumed]) -> list[Consumed]:
    return [replace(each, lag=lags.get((each.stream, each.group))) for each in consumed]


def _build_row(service: Service, seen: Observations, now_ms: int) -> IntegrationRow:
    grants = list(service.grants.all())
    publishes = [grant for grant in grants if grant.action == Grant.Action.PUBLISH]
    subscribes = [grant for grant in grants if grant.action == Grant.Action.SUBSCRIBE]
    names = names_of(service.name)
    published = [each for name in names for each in seen.published.get(name, ())]
    consumed = [each for name in names for each in seen.consumed.get(name, ())]
    published.sort(key=lambda each: (-each.last_ms, each.stream))
    consumed.sort(key=lambda each: (-(each.seen_ms or 0), each.stream, each.group))
    return IntegrationRow(
        service=service,
        publishes=publishes,
        subscribes=subscribes,
        published=published[:MOST_STREAMS],
        consumed=consumed[:MOST_STREAMS],
        more_published=len(published[MOST_STREAMS:]),
        more_consumed=len(consumed[MOST_STREAMS:]),
        publishing=state([each.last_ms for each in published], now_ms) if publishes or published else None,
        consuming=state([each.seen_ms for each in consumed], now_ms) if subscribes or consumed else None,
    )


class GrantInline(AuditedInline):
    """A service's grants, edited on its page."""

    model = Grant
    hide_title = True
    fields = ("action", "stream", "event_type")

    def get_extra(self, request: HttpRequest, obj: Service | None = None, **options: Any) -> int:
        return 0 if obj else max(1, len(_grants_in_query(request)))


def _grants_in_query(request: HttpRequest) -> list[dict[str, str]]:
    """Return the grants that the address of a new service's form suggests, such as `?publish=orders`."""
    return [
        {"action": action, "stream": stream, "event_type": "*"}
        for action in Grant.Action.values
        for stream in request.GET.getlist(action)
    ]


@admin.register(Service)
class ServiceAdmin(AuditedAdmin):
    list_display = ["name_cell", "publishes", "subscribes"]
    search_fields = ["name", "description"]
    inlines = [GrantInline]
    list_before_template = "streams/admin/service_list.html"
    change_form_template = "streams/admin/service.html"
    pages = (
        Page(path="integration/", name="integration", view=show_integration),
        Page(path="<int:pk>/keys/", name="keys", view=keys.show_keys),
        Page(path="<int:pk>/keys/<str:key_id>/rotate/", name="rotate_key", view=keys.rotate),
        Page(path="<int:pk>/keys/<str:key_id>/revoke/", name="revoke_key", view=keys.revoke),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        services: QuerySet[Service] = super().get_queryset(request)
        return services.prefetch_related("grants")

    def get_formset_kwargs(self, request: HttpRequest, obj: Service, inline: Any, prefix: str) -> dict[str, Any]:
        options: dict[str, Any] = super().get_formset_kwargs(request, obj, inline, prefix)
        # Only for GET: in a POST, values equal to the initial ones would count as unchanged and not be saved.
        asked: list[dict[str, str]] = _grants_in_query(request) if request.method == "GET" and obj.pk is None else []
        return {**options, "initial": asked} if asked else options

    def response_add(self, request: HttpRequest, obj: Service, post_url_continue: str | None = None) -> HttpResponse:
        if ISSUE in request.POST and request.user.has_perm("streams.add_key"):
            return keys.issue_first(self, request, obj)
        shown: HttpResponse = super().response_add(request, obj, post_url_continue)
        return shown

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:
        before = Service.objects.get(pk=obj.pk).name if change else obj.name
        super().save_model(request, obj, form, change)
        if before != obj.name:
            rename_service(before, obj.name)

    @admin.display(description="service", ordering="name")
    def name_cell(self, service: Service) -> str:
        return render_to_string("streams/admin/named.html", {"name": service.name, "about": service.description})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        service = options.get("obj")
        context["may_issue"] = service is None and request.user.has_perm("streams.add_key")
        if service is not None and request.user.has_perm("streams.view_key"):
            context |= {"tabs": tabs.of_service(request, service, "Definition")}
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    @admin.display(description="publishes to")
    def publishes(self, service: Service) -> str:
        return _grants_cell(service, Grant.Action.PUBLISH)

    @admin.display(description="subscribes to")
    def subscribes(self, service: Service) -> str:
        return _grants_cell(service, Grant.Action.SUBSCRIBE)


@admin.register(Grant)
class GrantAdmin(AuditedAdmin):
    list_display = ["service", "action", "stream", "event_type"]
    list_filter = ["action", ("service", RelatedFilter)]
    list_select_related = ["service"]
    search_fields = ["service__name", "stream", "event_type"]
    autocomplete_fields = ["service"]


def _grants_cell(service: Service, action: Any) -> str:
    grants = [grant for grant in service.grants.all() if grant.action == action]
    return render_to_string("streams/admin/grants.html", {"grants": grants})
