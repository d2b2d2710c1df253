"""The integration status: for each service what it may do, and what was seen of it."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from streams import connections
from streams.admin.queries import ask_all
from streams.models import Grant, Service, Stream
from streams.snapshot import holder
from synapse.inspection.integration_status import (
    ACTIVE_SECONDS,
    LOOKED_AT,
    STREAMS_LOOKED_AT,
    Consumed,
    Published,
    Seen,
    State,
    look,
    names_of,
    state,
    with_lag,
)
from synapse.inspection.lag import Lag
from synapse.problems import Problem
from synapse.retention.janitor import durable_groups

# Services on a page; streams that are named for each; and names that belong to no service.
PAGE_SIZE, MOST_STREAMS, MOST_STRANGERS = 50, 5, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One service. A state is None where the service has no such grant and nothing was seen of it.

    `published` and `consumed` are what was seen last; of how many more streams it was seen, `more_published` and
    `more_consumed` say.
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


def integration_rows(services: Iterable[Service], seen: Seen, now_ms: int) -> list[Row]:
    """Return a row for each service."""
    return [_row(service, seen, now_ms) for service in services]


def integration(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show what was seen of every service, and which other names were seen."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    now_ms = int(time.time() * 1000)
    streams = list(Stream.objects.values_list("name", flat=True))
    known = {name for service in Service.objects.values_list("name", flat=True) for name in names_of(service)}
    found = ask_all({"seen": look(streams, now_ms, holder.current(), known)})["seen"]
    seen = Seen(published={}, consumed={}) if isinstance(found, Problem) else found
    for (stream, source), ms in seen.fresh.items():
        # Noted by its masked name, so that the next look at the page need not find it again.
        connections.tally.note_sources(stream, {source: source}, f"{ms}-0")
    services = Paginator(admin.get_queryset(request).order_by("name"), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = integration_rows(services, seen, now_ms)
    ours = {group for groups in durable_groups().values() for group in groups}
    sources = [(name, one) for name, each in sorted(seen.published.items()) if name not in known for one in each]
    groups = [one for name, each in sorted(seen.consumed.items()) if name not in known | ours for one in each]
    lags = _lags([one for row in rows for one in row.consumed] + groups[:MOST_STRANGERS])
    page: HttpResponse = admin.show(
        request,
        "streams/admin/integration.html",
        title="Integration status",
        services=services,
        rows=[replace(row, consumed=_with(lags, row.consumed)) for row in rows],
        problem=found if isinstance(found, Problem) else None,
        problems=seen.problems,
        looked_at=LOOKED_AT,
        streams_looked_at=STREAMS_LOOKED_AT,
        unseen=seen.unseen,
        minutes=ACTIVE_SECONDS // 60,
        strange_sources=sources[:MOST_STRANGERS],
        strange_groups=_with(lags, groups[:MOST_STRANGERS]),
        more_strangers=len(sources[MOST_STRANGERS:]) + len(groups[MOST_STRANGERS:]),
    )
    return page


def _lags(consumed: Sequence[Consumed]) -> Mapping[tuple[str, str], Lag]:
    found = ask_all({"lags": with_lag(consumed)})["lags"]
    return {} if isinstance(found, Problem) else found


def _with(lags: Mapping[tuple[str, str], Lag], consumed: Sequence[Consumed]) -> list[Consumed]:
    return [replace(each, lag=lags.get((each.stream, each.group))) for each in consumed]


def _row(service: Service, seen: Seen, now_ms: int) -> Row:
    grants = list(service.grants.all())
    publishes = [grant for grant in grants if grant.action == Grant.Action.PUBLISH]
    subscribes = [grant for grant in grants if grant.action == Grant.Action.SUBSCRIBE]
    names = names_of(service.name)
    published = [each for name in names for each in seen.published.get(name, ())]
    consumed = [each for name in names for each in seen.consumed.get(name, ())]
    published.sort(key=lambda each: (-each.last_ms, each.stream))
    consumed.sort(key=lambda each: (-(each.seen_ms or 0), each.stream, each.group))
    return Row(
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
