"""Where there are dead letters, and those of one group."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from bridges import dead_letters
from bridges.admin.dead_letters import selection
from bridges.dead_letters import Errors, Page, Wanted
from bridges.dead_letters.counts import places
from core.admin import payloads
from core.admin.base import person
from streams.admin.queries import ask_all
from streams.models import EventType, Stream
from synapse.dead_letters import filters
from synapse.inspection.range_query import asked_id, asked_order
from synapse.problems import Problem
from synapse.publishing.body import NDJSON

PAGE_SIZE = 25


def everywhere(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show which groups have dead letters."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    found = ask_all({"places": places()})["places"]
    problem = found if isinstance(found, Problem) else None
    rows = [] if problem else found
    pks = dict(Stream.objects.values_list("name", "pk"))
    shown = [
        {"place": row, "url": admin.page_url("dead_letters_group", pks[row.stream], row.group)}
        for row in rows
        if row.stream in pks and "/" not in row.group
    ]
    answer: HttpResponse = admin.show(
        request, "bridges/admin/dead_letters/everywhere.html", title="Dead letters", rows=shown, problem=problem
    )
    return answer


def of_group(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Show a group's dead letters: together by their errors, and one by one; the filters are those of the API."""
    stream = selection.found_dead(admin, request, pk)
    query = selection.filters_of(request.GET)
    order = request.GET.get("order", "")
    values: dict[str, Any] = {"page": None, "errors": None, "refused": None, "problem": None}
    try:
        selection.check(stream, group)
        values["errors"] = dead_letters.by_error(stream.name, group, by=person(request))
        page = values["page"] = _page(stream, group, request, filters.wanted(query))
        payloads.record(request, f"dead letters {stream.name}/{group}", [letter.id for letter in page.letters])
    except Problem as problem:
        values["refused" if problem.status == 400 else "problem"] = problem
    return selection.show(
        admin,
        request,
        "group",
        stream,
        group,
        query=query,
        order=order,
        chosen=_chosen(values["errors"], query.get("fingerprint", "")),
        more=_more(values["page"], query, order),
        is_first="past" not in request.GET,
        event_types=EventType.objects.filter(stream=stream),
        **values,
    )


def export(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Answer with a file of those that the filters let through, as the API exports them."""
    stream = selection.found_dead(admin, request, pk)
    try:
        selection.check(stream, group)
        wanted = filters.wanted(selection.filters_of(request.GET))
        found = dead_letters.export(stream.name, group, wanted, by=person(request))
    except Problem as problem:
        return selection.show(admin, request, "refused", stream, group, refused=problem)
    payloads.record(request, f"dead letters {stream.name}/{group}", found.ids, exported=True)
    answer = HttpResponse(found.lines, content_type=NDJSON)
    answer["Content-Disposition"] = f'attachment; filename="dead-letters-{stream.name}.ndjson"'
    return answer


def _page(stream: Stream, group: str, request: HttpRequest, wanted: Wanted) -> Page:
    past = request.GET.get("past", "")
    return dead_letters.page(
        stream.name,
        group,
        wanted,
        limit=PAGE_SIZE,
        order=asked_order(request.GET.dict()),
        past=str(asked_id(past)) if past else "",
        by=person(request),
    )


def _more(page: Page | None, query: dict[str, str], order: str) -> dict[str, str] | None:
    if page is None or page.next is None:
        return None
    return {**query, **({"order": order} if order else {}), "past": page.next}


def _chosen(errors: Errors | None, fingerprint: str) -> Any:
    """Return the group of errors that the filter names."""
    return next((found for found in errors.groups if found.fingerprint == fingerprint), None) if errors else None
