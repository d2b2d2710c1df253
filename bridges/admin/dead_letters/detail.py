"""One dead letter: all that is known of it, and its event to edit."""

from typing import Any, cast

import orjson
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from bridges import dead_letters
from bridges.admin.dead_letters import selection
from bridges.dead_letters import DeadLetter, Verdict
from core.admin import payloads
from core.admin.base import person
from core.admin.json_field import JsonText, mark
from core.admin.json_positions import line_of
from core.templatetags.synapse import json_text
from streams.models import Stream
from synapse.auth.people import VIEW_PERSONAL
from synapse.errors.delivery import NoSuchDeadLetter
from synapse.problems import Problem


class EventForm(forms.Form):
    """The event that is to be delivered in place of the old one."""

    event = JsonText(strip=False)

    def clean_event(self) -> str:
        """Keep the text, with the value beside it; the contract judges the value."""
        text: str = self.cleaned_data["event"]
        self.value = cast(JsonText, self.fields["event"]).parsed(text)
        return text


def look(admin: Any, request: HttpRequest, pk: int, group: str, id: str) -> HttpResponse:
    """Show a dead letter; a POST checks the edited event, or sends it out."""
    stream = selection.found_dead(admin, request, pk)
    if request.method == "POST" and not admin.has_change_permission(request):
        raise PermissionDenied
    try:
        selection.check(stream, group)
        letter = dead_letters.get(stream.name, group, id)
    except NoSuchDeadLetter:
        messages.warning(request, "This dead letter is not there any more: it was redriven or discarded.")
        return redirect(admin.page_url("dead_letters_group", stream.pk, group))
    except Problem as problem:
        return selection.show(admin, request, "refused", stream, group, refused=problem)
    by = person(request)
    may_edit = letter.mask is None or request.user.has_perm(VIEW_PERSONAL)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    payloads.record(request, f"dead letters {stream.name}/{group}", [letter.id])
    seen = dead_letters.seen_by(letter, by)
    form = EventForm(request.POST if request.method == "POST" else None, initial={"event": _text(seen)})
    verdict, refused = dead_letters.judge(stream.name, dict(letter.event), letter=letter, by=by), None
    if request.method == "POST" and form.is_valid():
        verdict = dead_letters.judge(stream.name, form.value, letter=letter, by=by)
        mark(form, "event", [line for line, _ in _lines(form.cleaned_data["event"], verdict)])
        if "redrive" in request.POST and verdict.problem is None:
            try:
                return _redriven(admin, request, stream, letter, form.value)
            except NoSuchDeadLetter:
                raise Http404 from None
            except Problem as problem:
                refused = problem
    text = form.cleaned_data["event"] if form.is_bound and form.is_valid() else _text(seen)
    return selection.show(
        admin,
        request,
        "one",
        stream,
        group,
        title=f"Dead letter {letter.id}",
        letter=seen,
        may_edit=may_edit,
        verdict=verdict,
        violations=_lines(text, verdict),
        is_edited=form.is_bound,
        refused=refused,
        form=form,
        media=admin.media + form.media,
    )


def _redriven(admin: Any, request: HttpRequest, stream: Stream, letter: DeadLetter, event: Any) -> HttpResponse:
    edited = dead_letters.redrive_edited(stream.name, letter.group, letter.id, event, by=person(request))
    ((_, result),) = edited.redriven.results
    if result == "retry":
        messages.success(request, "The edited event will be delivered.")
    else:
        messages.warning(request, "Nothing was done: it is gone, or its event is on the way already.")
    return redirect(admin.page_url("dead_letters_group", stream.pk, letter.group))


def _lines(text: str, verdict: Verdict) -> list[tuple[int | None, Any]]:
    return [(line_of(text, found["pointer"]) if found["pointer"] else None, found) for found in verdict.violations]


def _text(letter: DeadLetter) -> str:
    try:
        # As an editor shows it too: marks of direction and the like as JSON escapes them.
        return json_text(letter.event)
    except orjson.JSONEncodeError:
        # Another program nested it deeper than JSON can be written: its fields are left to look at.
        return json_text(dict(letter.data))
