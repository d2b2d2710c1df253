"""Redriving and discarding, on a page that says first how many it would be. Each POST does a part.

With scripts, `progress.js` posts part after part and moves the bar; without them each answer is a page with the button
for the next part.
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

# The number of dead letters in a part: a few seconds of work at most, and enough steps for a progress bar.
PART = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The result of one part: how many were done, how many were not, and the cursor of the next part."""

    done: int
    passed: int
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it has come, over all parts."""

    done: int
    passed: int
    total: int
    cursor: str | None

    @property
    def share(self) -> int:
        """The progress that the bar shows: never more than the total."""
        return min(self.done + self.passed, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The subject of a request: the action is also the name of its template."""

    admin: Any
    request: HttpRequest
    stream: Stream
    group: str
    action: str

    @property
    def given(self) -> QueryDict:
        """The values of the form, or of the link to it."""
        return self.request.POST if self.request.method == "POST" else self.request.GET

    @property
    def wants_json(self) -> bool:
        """Whether a script asks."""
        return choose(self.request.headers.get("Accept", ""), (HTML, JSON)) == JSON


Work = Callable[[Question, Ids | DeadLetterCriteria], Part]


def redrive(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Deliver dead letters again: those that are ticked, or all that the filters let through."""
    stream = selection.dead_letter_stream(admin, request, pk, to="change")
    return _answer(Question(admin=admin, request=request, stream=stream, group=group, action="redrive"), _redrive)


def discard(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Throw dead letters away, with a reason."""
    stream = selection.dead_letter_stream(admin, request, pk, to="change")
    return _answer(Question(admin=admin, request=request, stream=stream, group=group, action="discard"), _discard)


def _redrive(asked_for: Question, what: Ids | DeadLetterCriteria) -> Part:
    form = asked_for.given
    done = dead_letters.redrive(
        asked_for.stream.name,
        asked_for.group,
        what,
        by=person(asked_for.request),
        rate=_rate(form),
        cursor=form.get("cursor", ""),
        most=PART,
    )
    return Part(done=done.moved, passed=done.gone + done.waiting + done.broken, cursor=done.cursor)


def _discard(asked_for: Question, what: Ids | DeadLetterCriteria) -> Part:
    form = asked_for.given
    done = dead_letters.discard(
        asked_for.stream.name,
        asked_for.group,
        what,
        by=person(asked_for.request),
        reason=form.get("reason", ""),
        cursor=form.get("cursor", ""),
        most=PART,
    )
    return Part(done=done.count, passed=done.gone, cursor=done.cursor)


def _rate(form: QueryDict) -> float | None:
    text = form.get("rate", "").strip()
    try:
        return read_rate(float(text)) if text else None
    except ValueError:
        return read_rate(text)


def _answer(question: Question, work: Work) -> HttpResponse:
    if question.request.method != "POST":
        return _asked(question)
    given = question.given
    try:
        selection.check_group(question.stream, question.group)
        part = work(question, selection.read_selection(given))
    except FAILURES as failure:
        problem = problem_of(failure)
        if question.wants_json:
            return JsonResponse({"detail": problem.detail}, status=problem.status)
        return _asked(question, refused=problem, progress=_begun(given))
    progress = Progress(
        done=selection.number_in(given, "done") + part.done,
        passed=selection.number_in(given, "passed") + part.passed,
        total=selection.number_in(given, "total"),
        cursor=part.cursor,
    )
    if progress.cursor is None:
        messages.success(question.request, _said(question.action, progress))
    if question.wants_json:
        return JsonResponse(
            {"done": progress.done, "passed": progress.passed, "share": progress.share, "cursor": progress.cursor}
        )
    if progress.cursor is None:
        return redirect_to(question.admin.page_url("dead_letters_group", question.stream.pk, question.group))
    return _asked(question, progress=progress)


def _asked(question: Question, *, refused: Problem | None = None, progress: Progress | None = None) -> HttpResponse:
    """Show how many it would be, or how far it has come."""
    given = question.given
    filters = selection.filters_of(given)
    found = None
    try:
        selection.check_group(question.stream, question.group)
        found = dead_letters.preview(
            question.stream.name, question.group, selection.read_selection(given), by=person(question.request)
        )
    except FAILURES as failure:
        refused = refused or problem_of(failure)
    return selection.show(
        question.admin,
        question.request,
        question.action,
        question.stream,
        question.group,
        title="Redrive dead letters" if question.action == "redrive" else "Discard dead letters",
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


def _begun(given: QueryDict) -> Progress | None:
    """Return the progress before a refused part: the button continues there."""
    cursor = given.get("cursor", "")
    if not cursor:
        return None
    values = {name: selection.number_in(given, name) for name in ("done", "passed", "total")}
    return Progress(**values, cursor=cursor)


def _said(action: str, progress: Progress) -> str:
    many = f"{number(progress.done)} dead letter{'' if progress.done == 1 else 's'}"
    said = f"{many} will be delivered again." if action == "redrive" else f"{many} discarded."
    return (
        said
        if not progress.passed
        else f"{said} {number(progress.passed)} could not be: deleted, or being delivered already."
    )
