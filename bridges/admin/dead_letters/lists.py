"""Admin pages of dead letters: the groups that have some, the letters of one group, and one letter to edit."""

from typing import Any, cast

import orjson
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from bridges import dead_letters
from bridges.admin.dead_letters import selection
from bridges.dead_letters import DeadLetter, DeadLetterCriteria, Errors, Page, Revalidation
from bridges.dead_letters.queries import counts_of_all_groups
from core import payload_access
from core.admin.base import person
from core.admin.json_field import JsonText, line_of, mark
from core.templatetags.synapse import json_text
from streams.connections import ask_all
from streams.models import EventType, Stream
from synapse.auth.permission import VIEW_PERSONAL
from synapse.dead_letters import read_criteria
from synapse.errors.delivery import NoSuchDeadLetter
from synapse.errors.streams import BadFilterExpression
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection.range_query import parse_entry_id, parse_order
from synapse.problems import Problem
from synapse.publishing.body import NDJSON

PAGE_SIZE = 20
# The number of errors that are listed, and that the filter offers: a group may have as many as dead letters.
_MOST_ERRORS, _MOST_CHOICES = 20, 100


def show_groups(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the groups that have dead letters."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    found = ask_all({"places": counts_of_all_groups()})["places"]
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


def show_group(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Show a group's dead letters, grouped by error and one by one, with the filters of the API."""
    stream = selection.dead_letter_stream(admin, request, pk)
    query = selection.filters_of(request.GET)
    order = request.GET.get("order", "")
    values: dict[str, Any] = {"page": None, "errors": None, "refused": None, "filter_error": None, "problem": None}
    try:
        selection.check_group(stream, group)
        values["errors"] = dead_letters.by_error(stream.name, group, by=person(request))
        page = values["page"] = _read_page(stream, group, request, read_criteria(query))
        payload_access.record(
            person(request), f"dead letters {stream.name}/{group}", [letter.id for letter in page.letters]
        )
    except FAILURES as failure:
        problem = problem_of(failure)
        kind = "filter_error" if isinstance(problem, BadFilterExpression) else "refused"
        values[kind if problem.status == 400 else "problem"] = problem
    return selection.show_page(
        admin,
        request,
        "group",
        stream,
        group,
        query=query,
        order=order,
        **_select_errors(values["errors"], query.get("fingerprint", "")),
        more=_next_query(values["page"], query, order),
        is_first="past" not in request.GET,
        event_types=EventType.objects.filter(stream=stream),
        **values,
    )


def export_group(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Answer with a file of the dead letters that match the filters, in the format of the API's export."""
    stream = selection.dead_letter_stream(admin, request, pk)
    try:
        selection.check_group(stream, group)
        wanted = read_criteria(selection.filters_of(request.GET))
        found = dead_letters.export(stream.name, group, wanted, by=person(request))
    except FAILURES as failure:
        return selection.show_page(admin, request, "refused", stream, group, refused=problem_of(failure))
    payload_access.record(person(request), f"dead letters {stream.name}/{group}", found.ids, exported=True)
    answer = HttpResponse(found.lines, content_type=NDJSON)
    answer["Content-Disposition"] = f'attachment; filename="dead-letters-{stream.name}.ndjson"'
    return answer


def _read_page(stream: Stream, group: str, request: HttpRequest, wanted: DeadLetterCriteria) -> Page:
    past = request.GET.get("past", "")
    return dead_letters.read_page(
        stream.name,
        group,
        wanted,
        limit=PAGE_SIZE,
        order=parse_order(request.GET.dict()),
        past=str(parse_entry_id(past)) if past else "",
        by=person(request),
    )


def _next_query(page: Page | None, query: dict[str, str], order: str) -> dict[str, str] | None:
    if page is None or page.next is None:
        return None
    return {**query, **({"order": order} if order else {}), "past": page.next}


def _select_errors(errors: Errors | None, fingerprint: str) -> dict[str, Any]:
    """Return the errors for the page: the one that the filter names, the most frequent ones, the number of further
    ones, and those that the filter offers.
    """
    groups = errors.groups if errors else ()
    chosen = next((found for found in groups if found.fingerprint == fingerprint), None)
    rows = groups[:_MOST_ERRORS]
    if chosen is not None and chosen not in rows:
        rows = (chosen, *rows[:-1])
    return {
        "chosen": chosen,
        "error_rows": rows,
        "further_errors": len(groups) - len(rows),
        "error_choices": groups[:_MOST_CHOICES],
    }


class EventForm(forms.Form):
    """The form with the event to deliver in place of the old one."""

    event = JsonText(strip=False)

    def clean_event(self) -> str:
        """Parse the text into `value`, which is then checked against the contract, and return the text unchanged."""
        text: str = self.cleaned_data["event"]
        self.value = cast(JsonText, self.fields["event"]).parsed(text)
        return text


def show_letter(admin: Any, request: HttpRequest, pk: int, group: str, id: str) -> HttpResponse:
    """Show a dead letter; a POST checks the edited event, or redrives it."""
    stream = selection.dead_letter_stream(admin, request, pk)
    if request.method == "POST" and not admin.has_change_permission(request):
        raise PermissionDenied
    try:
        selection.check_group(stream, group)
        letter = dead_letters.get(stream.name, group, id)
    except NoSuchDeadLetter:
        messages.warning(request, "This dead letter does not exist any more: it was redriven or discarded.")
        return redirect(admin.page_url("dead_letters_group", stream.pk, group))
    except FAILURES as failure:
        return selection.show_page(admin, request, "refused", stream, group, refused=problem_of(failure))
    by = person(request)
    may_edit = letter.mask is None or request.user.has_perm(VIEW_PERSONAL)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    payload_access.record(person(request), f"dead letters {stream.name}/{group}", [letter.id])
    seen = dead_letters.mask_for_reader(letter, by)
    form = EventForm(request.POST if request.method == "POST" else None, initial={"event": _text_of(seen)})
    verdict, refused = dead_letters.revalidate(stream.name, dict(letter.event), letter=letter, by=by), None
    if request.method == "POST" and form.is_valid():
        verdict = dead_letters.revalidate(stream.name, form.value, letter=letter, by=by)
        mark(form, "event", [line for line, _ in _lines_of_errors(form.cleaned_data["event"], verdict)])
        if "redrive" in request.POST and verdict.problem is None:
            try:
                return _redrive_edited(admin, request, stream, letter, form.value)
            except NoSuchDeadLetter:
                raise Http404 from None
            except FAILURES as failure:
                refused = problem_of(failure)
    text = form.cleaned_data["event"] if form.is_bound and form.is_valid() else _text_of(seen)
    return selection.show_page(
        admin,
        request,
        "one",
        stream,
        group,
        title=f"Dead letter {letter.id}",
        letter=seen,
        may_edit=may_edit,
        verdict=verdict,
        violations=_lines_of_errors(text, verdict),
        is_edited=form.is_bound,
        refused=refused,
        form=form,
        media=admin.media + form.media,
    )


def _redrive_edited(admin: Any, request: HttpRequest, stream: Stream, letter: DeadLetter, event: Any) -> HttpResponse:
    edited = dead_letters.redrive_edited(stream.name, letter.group, letter.id, event, by=person(request))
    ((_, result),) = edited.redriven.results
    if result == "retry":
        messages.success(request, "The edited event will be delivered.")
    else:
        messages.warning(
            request, "Nothing was done: the dead letter was deleted, or its event is being delivered already."
        )
    return redirect(admin.page_url("dead_letters_group", stream.pk, letter.group))


def _lines_of_errors(text: str, verdict: Revalidation) -> list[tuple[int | None, Any]]:
    return [(line_of(text, found["pointer"]) if found["pointer"] else None, found) for found in verdict.violations]


def _text_of(letter: DeadLetter) -> str:
    try:
        # The text that the editor shows, in which invisible characters such as direction marks are JSON escapes.
        return json_text(letter.event)
    except orjson.JSONEncodeError:
        # Nested too deep to be written as JSON by another program: the raw fields are shown instead.
        return json_text(dict(letter.data))
