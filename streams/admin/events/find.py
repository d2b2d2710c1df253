"""Search for an event by an id in it: the page, and the results in the search of the whole admin (Ctrl K)."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.dataclasses import SearchResult  # type: ignore[import-untyped]

from core import payload_access
from core.admin.base import person
from streams import connections
from streams.connections import ask_all
from streams.models import Stream
from streams.snapshot import holder
from synapse.correlation import search
from synapse.correlation.search import Found
from synapse.explorer.search import ids_by_stream
from synapse.problems import Problem

MOST_LISTED = 50
# Limits for the search of the whole admin, which runs with each pause in typing. Shorter texts are beginnings of names.
SHORTEST, MOST_OFFERED, MOST_OFFERED_BYTES = 3, 5, 8 * 1024 * 1024


def find_event(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the events that carry the id `q`; redirect to the event's page when there is only one."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    payload_access.check_permission(request)
    text = request.GET.get("q", "").strip()
    found = _search_events(request, text, count=MOST_LISTED + 1)
    events = [] if isinstance(found, Problem) else _link_matches(found)
    if len(events) == 1:
        return redirect(events[0]["url"])
    payload_access.record_each(person(request), ids_by_stream({"events": events[:MOST_LISTED]}))
    page: HttpResponse = admin.show(
        request,
        "streams/admin/find.html",
        title="Find an event",
        text=text,
        events=events[:MOST_LISTED],
        has_more=len(events) > MOST_LISTED,
        unsearched=[] if isinstance(found, Problem) else found.unsearched,
        problem=found if isinstance(found, Problem) else None,
    )
    return page


def offer_events(request: HttpRequest, lowered: str) -> list[SearchResult]:
    """Return the events for the search of the whole admin, which passes the text in lower case."""
    text = request.GET.get("s", lowered).strip()
    if len(text) < SHORTEST or not payload_access.may_see(request):
        return []
    found = _search_events(request, text, count=MOST_OFFERED, own_keys=True, most_bytes=MOST_OFFERED_BYTES)
    events = [] if isinstance(found, Problem) else _link_matches(found)
    payload_access.record_each(person(request), ids_by_stream({"events": events}))
    return [
        SearchResult(
            title=f"{event['event_type'] or '(no type)'} {event['id']}",
            description=f"Event of {event['stream']}, by its {' and '.join(event['found_by'])}",
            link=event["url"],
            icon="search",
        )
        for event in events
    ]


def _search_events(
    request: HttpRequest,
    text: str,
    *,
    count: int,
    own_keys: bool = False,
    most_bytes: int = search.MOST_BYTES_OF_ALL,
) -> Found | Problem:
    asked = search.find_by_id(
        text,
        holder.current(),
        person(request),
        connections.digests(),
        count=count,
        own_keys=own_keys,
        most_bytes=most_bytes,
    )
    found: Found | Problem = ask_all({"found": asked})["found"]
    return found


def _link_matches(found: Found) -> list[dict[str, Any]]:
    names = {match.stream for match in found.matches}
    pks = dict(Stream.objects.filter(name__in=names).values_list("name", "pk"))
    return [
        {**match.to_json(), "url": reverse("admin:streams_stream_message", args=[pks[match.stream], match.id])}
        for match in found.matches
        if match.stream in pks
    ]
