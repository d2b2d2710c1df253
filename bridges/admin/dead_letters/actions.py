"""Redriving and discarding dead letters. A page first shows how many would be affected; each POST processes a part.

With JavaScript, `progress.js` posts part after part and moves the progress bar. Without it, each answer is a page with
a button for the next part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect as redirect_to

from bridges import dead_letters
from bridges.admin.dead_letters import selection
from bridges.dead_letters import DeadLetterCriteria, Ids
from core.admin.base import person
from core.templatetags.synapse import number
from core.views import HTML
from streams.models import Stream
from synapse.dead_letters import read_rate
from synapse.http.accept import choose
from synapse.http.exchange import JSON
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import Problem

# The number of dead letters in a part: few enough to take seconds, and to give a progress bar enough steps.
PART = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The result of one part: how many dead letters were processed, how many were skipped, and the cursor of the next
    part.
    """

    done: int
    passed: int
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress over all parts so far."""

    done: int
    passed: int
    total: int
    cursor: str | None

    @property
    def share(self) -> int:
        """The position of the progress bar, at most `total`."""
        return min(self.done + self.passed, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """A request to redrive or discard dead letters of a group. `action` is also the name of its template."""

    admin: Any
    request: HttpRequest
    stream: Stream
    group: str
    action: str

    @property
    def given(self) -> QueryDict:
        """The values of the form, or of the link that leads to it."""
        return self.request.POST if self.request.method == "POST" else self.request.GET

    @property
    def wants_json(self) -> bool:
        """Whether `progress.js` sent the request."""
        return choose(self.request.headers.get("Accept", ""), (HTML, JSON)) == JSON


Work = Callable[[ActionRequest, Ids | DeadLetterCriteria], Part]


def redrive(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Redrive dead letters: the ticked ones, or all that match the filters."""
    stream = selection.dead_letter_stream(admin, request, pk, to="change")
    return _answer_request(
        ActionRequest(admin=admin, request=request, stream=stream, group=group, action="redrive"), _redrive_part
    )


def discard(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Discard dead letters, with a reason: the ticked ones, or all that match the filters."""
    stream = selection.dead_letter_stream(admin, request, pk, to="change")
    return _answer_request(
        ActionRequest(admin=admin, request=request, stream=stream, group=group, action="discard"), _discard_part
    )


def _redrive_part(action_request: ActionRequest, what: Ids | DeadLetterCriteria) -> Part:
    form = action_request.given
    done = dead_letters.redrive(
        action_request.stream.name,
        action_request.group,
        what,
        by=person(action_request.request),
        rate=_rate_of(form),
        cursor=form.get("cursor", ""),
        most=PART,
    )
    return Part(done=done.moved, passed=done.gone + done.waiting + done.broken, cursor=done.cursor)


def _discard_part(action_request: ActionRequest, what: Ids | DeadLetterCriteria) -> Part:
    form = action_request.given
    done = dead_letters.discard(
        action_request.stream.name,
        action_request.group,
        what,
        by=person(action_request.request),
        reason=form.get("reason", ""),
        cursor=form.get("cursor", ""),
        most=PART,
    )
    return Part(done=done.count, passed=done.gone, cursor=done.cursor)


def _rate_of(form: QueryDict) -> float | None:
    text = form.get("rate", "").strip()
    try:
        return read_rate(float(text)) if text else None
    except ValueError:
        return read_rate(text)


def _answer_request(action_request: ActionRequest, work: Work) -> HttpResponse:
    if action_request.request.method != "POST":
        return _show_form(action_request)
    given = action_request.given
    try:
        selection.check_group(action_request.stream, action_request.group)
        part = work(action_request, selection.read_selection(given))
    except FAILURES as failure:
        problem = problem_of(failure)
        if action_request.wants_json:
            return JsonResponse({"detail": problem.detail}, status=problem.status)
        return _show_form(action_request, refused=problem, progress=_progress_of(given))
    progress = Progress(
        done=selection.number_in(given, "done") + part.done,
        passed=selection.number_in(given, "passed") + part.passed,
        total=selection.number_in(given, "total"),
        cursor=part.cursor,
    )
    if progress.cursor is None:
        messages.success(action_request.request, _success_text(action_request.action, progress))
    if action_request.wants_json:
        return JsonResponse(
            {"done": progress.done, "passed": progress.passed, "share": progress.share, "cursor": progress.cursor}
        )
    if progress.cursor is None:
        return redirect_to(
            action_request.admin.page_url("dead_letters_group", action_request.stream.pk, action_request.group)
        )
    return _show_form(action_request, progress=progress)


def _show_form(
    action_request: ActionRequest, *, refused: Problem | None = None, progress: Progress | None = None
) -> HttpResponse:
    """Show the form with the number of dead letters, or with the progress so far."""
    given = action_request.given
    filters = selection.filters_of(given)
    found = None
    try:
        selection.check_group(action_request.stream, action_request.group)
        found = dead_letters.preview(
            action_request.stream.name,
            action_request.group,
            selection.read_selection(given),
            by=person(action_request.request),
        )
    except FAILURES as failure:
        refused = refused or problem_of(failure)
    return selection.show_page(
        action_request.admin,
        action_request.request,
        action_request.action,
        action_request.stream,
        action_request.group,
        title="Redrive dead letters" if action_request.action == "redrive" else "Discard dead letters",
        found=found,
        total=progress.total if progress else found.count if found else 0,
        is_selection=bool(given.getlist("id")),
        hidden=[("id", id_) for id_ in given.getlist("id")] or list(filters.items()),
        query=filters,
        rate=given.get("rate", "").strip(),
        reason=given.get("reason", ""),
        refused=refused,
        progress=progress,
    )


def _progress_of(given: QueryDict) -> Progress | None:
    """Return the progress before a part that was refused, at which the button continues."""
    cursor = given.get("cursor", "")
    if not cursor:
        return None
    values = {name: selection.number_in(given, name) for name in ("done", "passed", "total")}
    return Progress(**values, cursor=cursor)


def _success_text(action: str, progress: Progress) -> str:
    many = f"{number(progress.done)} dead letter{'' if progress.done == 1 else 's'}"
    said = f"{many} will be delivered again." if action == "redrive" else f"{many} discarded."
    return (
        said
        if not progress.passed
        else f"{said} {number(progress.passed)} could not be: deleted, or being delivered already."
    )
