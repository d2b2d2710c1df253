"""The integration status: for each service what it may do, and what was seen of it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from core.problems import Problem
from streams.admin.asking import ask_all
from streams.admin.integration import ACTIVE_SECONDS, LOOKED_AT, Consumed, Published, Seen, State, look, names_of, state
from streams.janitor import durable_groups
from streams.models import Grant, Service, Stream
from streams.snapshot import holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One service. A state is None where the service has no such grant and nothing was seen of it."""

    service: Service
    publishes: Sequence[Grant]
    subscribes: Sequence[Grant]
    published: Sequence[Published]
    consumed: Sequence[Consumed]
    publishing: State | None
    consuming: State | None
    now_ms: int

    @property
    def last_published_ms(self) -> int | None:
        """When the newest event of this source was stored."""
        return max((each.last_ms for each in self.published), default=None)


def integration_rows(services: Iterable[Service], seen: Seen, now_ms: int) -> list[Row]:
    """Return a row for each service."""
    return [_row(service, seen, now_ms) for service in services]


def integration(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show what was seen of every service, and who was seen that is none."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    now_ms = int(time.time() * 1000)
    names = list(Stream.objects.values_list("name", flat=True))
    found = ask_all({"seen": look(names, now_ms, holder.current())})["seen"]
    seen = Seen(published={}, consumed={}, looked_at=0) if isinstance(found, Problem) else found
    services = list(admin.get_queryset(request).order_by("name"))
    known = {name for service in services for name in names_of(service.name)}
    ours = {group for groups in durable_groups().values() for group in groups}
    page: HttpResponse = admin.show(
        request,
        "streams/admin/integration.html",
        title="Integration status",
        rows=integration_rows(services, seen, now_ms),
        problem=found if isinstance(found, Problem) else None,
        problems=seen.problems,
        looked_at=LOOKED_AT,
        minutes=ACTIVE_SECONDS // 60,
        strange_sources=[(name, each) for name, each in sorted(seen.published.items()) if name not in known],
        strange_groups=[(name, each) for name, each in sorted(seen.consumed.items()) if name not in known | ours],
    )
    return page


def _row(service: Service, seen: Seen, now_ms: int) -> Row:
    grants = list(service.grants.all())
    publishes = [grant for grant in grants if grant.action == Grant.Action.PUBLISH]
    subscribes = [grant for grant in grants if grant.action == Grant.Action.SUBSCRIBE]
    names = names_of(service.name)
    published = [each for name in names for each in seen.published.get(name, ())]
    consumed = [each for name in names for each in seen.consumed.get(name, ())]
    return Row(
        service=service,
        publishes=publishes,
        subscribes=subscribes,
        published=sorted(published, key=lambda each: -each.last_ms),
        consumed=sorted(consumed, key=lambda each: (each.stream, each.group)),
        publishing=state([each.last_ms for each in published], now_ms) if publishes or published else None,
        consuming=state([_seen_ms(each) for each in consumed], now_ms) if subscribes or consumed else None,
        now_ms=now_ms,
    )


def _seen_ms(consumed: Consumed) -> int | None:
    """Return when the group was last seen: by a consumer that asked, else by the latest event it got."""
    return consumed.asked_ms or consumed.read_up_to_ms
