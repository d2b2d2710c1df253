"""Groups in the admin: pages that create a group, show one with its statistics, or act on it. They belong to the admin
of bridges. Each action shows its consequences before it asks for confirmation.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from bridges import dead_letters, groups
from bridges.admin.dead_letters import selection
from bridges.models import Bridge
from core import payload_access
from core.admin.base import Page, person
from core.templatetags.synapse import number
from streams.admin import charts, tabs
from streams.connections import ask_all, executor
from streams.models import Stream
from synapse.errors.delivery import UnknownGroup
from synapse.errors.streams import UnknownStream
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.problems import Problem
from synapse.statistics.charts import OF_GROUP
from synapse.statistics.overview import group_health, read_failures, read_trend


def create(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form of a new group's name and position; a POST creates the group."""
    stream = selection.stream_of(admin, request, pk, to="change")
    name, at = request.POST.get("name", "").strip(), request.POST.get("at", "beginning").strip()
    refused = None
    if request.method == "POST":
        try:
            groups.create(stream.name, name, at, by=person(request))
        except FAILURES as failure:
            refused = problem_of(failure)
        else:
            messages.success(request, f"The group “{name}” was created.")
            return redirect(reverse("admin:streams_stream_groups", args=[pk]))
    answer: HttpResponse = admin.show(
        request,
        "bridges/admin/groups/new.html",
        title=f"New group of {stream.name}",
        stream=stream,
        tabs=tabs.of_stream(request, stream, "New group"),
        name=name,
        at=at,
        refused=refused,
    )
    return answer


ACTIONS = ("pause", "resume", "move", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action on a group. `name` is also the name of its page; `work` performs it and returns the message to show."""

    name: str
    work: Callable[[HttpRequest, str, str], str]


def show_group(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Show the state of a group with links to actions, and charts; with `figures` in the query, only the numbers."""
    stream = selection.stream_of(admin, request, pk)
    if "figures" in request.GET:
        return _show_page(admin, request, "facts", stream, group, trend=trend_of(stream.name, group))
    return _show_page(admin, request, "one", stream, group, **group_statistics(request, stream, group))


def pause(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Pause a group."""
    return _run_action(admin, request, pk, group, Action(name="pause", work=_pause_group))


def resume(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Resume a paused group."""
    return _run_action(admin, request, pk, group, Action(name="resume", work=_resume_group))


def move(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Show the form for a group's new position, then the consequences of the move; a POST moves the group."""
    stream = selection.stream_of(admin, request, pk, to="change")
    if request.method == "POST":
        return _run_action(admin, request, pk, group, Action(name="move", work=_move_group))
    plan, refused = None, None
    if to := _position_in(request):
        try:
            plan = groups.plan_move(stream.name, group, to, discard_waiting="discard_waiting" in request.GET)
        except (UnknownGroup, UnknownStream):
            raise Http404 from None
        except FAILURES as failure:
            refused = problem_of(failure)
    return _show_page(admin, request, "move", stream, group, plan=plan, refused=refused)


def delete(admin: Any, request: HttpRequest, pk: int, group: str) -> HttpResponse:
    """Delete a group; with a reason, also one with a backlog."""
    return _run_action(admin, request, pk, group, Action(name="delete", work=_delete_group))


def _pause_group(request: HttpRequest, stream: str, group: str) -> str:
    groups.pause(stream, group, by=person(request))
    return f"“{group}” is paused: running consumers stop within seconds."


def _resume_group(request: HttpRequest, stream: str, group: str) -> str:
    groups.resume(stream, group, by=person(request))
    return f"“{group}” is resumed."


def _move_group(request: HttpRequest, stream: str, group: str) -> str:
    moved = groups.move(
        stream,
        group,
        _position_in(request),
        by=person(request),
        discard_waiting="discard_waiting" in request.POST,
    )
    said = f"“{group}” was moved: {number(moved.skipped)} events skipped, {number(moved.again)} unread again."
    return said if not moved.more else f"{said} The move is not complete: move the group again to continue."


def _delete_group(request: HttpRequest, stream: str, group: str) -> str:
    groups.delete(
        stream, group, by=person(request), force="force" in request.POST, reason=request.POST.get("reason", "")
    )
    return f"The group “{group}” was deleted."


def _run_action(admin: Any, request: HttpRequest, pk: int, group: str, action: Action) -> HttpResponse:
    stream = selection.stream_of(admin, request, pk, to="change")
    refused = None
    if request.method == "POST":
        try:
            messages.success(request, action.work(request, stream.name, group))
        except (UnknownGroup, UnknownStream):
            raise Http404 from None
        except FAILURES as failure:
            refused = problem_of(failure)
        else:
            stays = action.name != "delete"
            return redirect(
                admin.page_url("group", pk, group) if stays else reverse("admin:streams_stream_groups", args=[pk])
            )
    return _show_page(admin, request, action.name, stream, group, refused=refused)


def _position_in(request: HttpRequest) -> str:
    return (request.POST if request.method == "POST" else request.GET).get("to", "").strip()


def _show_page(
    admin: Any, request: HttpRequest, template: str, stream: Stream, group: str, **values: Any
) -> HttpResponse:
    """Render one of the pages of a group, below the statistics that they all show."""
    standing, problem, health = None, None, ""
    try:
        standing = groups.status_of(stream.name, group)
        failed = executor().run(read_failures([stream.name])).get((stream.name, group), 0)
        health = group_health(
            standing.owner,
            failed=failed,
            lag_seconds=standing.behind.seconds(time.time() * 1000),
            dead=standing.dead,
            waiting=standing.waiting,
        )
    except (UnknownGroup, UnknownStream):
        raise Http404 from None
    except FAILURES as failure:
        problem = problem_of(failure)
    given = request.POST if request.method == "POST" else request.GET
    titles = {
        "one": "Group",
        "facts": "Group",
        "pause": "Pause",
        "resume": "Resume",
        "move": "Move",
        "delete": "Delete",
    }
    answer: HttpResponse = admin.show(
        request,
        f"bridges/admin/groups/{template}.html",
        title=f"{titles[template]} {group}",
        stream=stream,
        group=group,
        standing=standing,
        lost=sum(standing.counted[name] for name in ("lost_trimmed", "lost_silent")) if standing else 0,
        health=health,
        problem=problem,
        where={name: admin.page_url(f"group_{name}", stream.pk, group) for name in ACTIONS},
        here=admin.page_url("group", stream.pk, group),
        dead_letters=admin.page_url("dead_letters_group", stream.pk, group),
        may_change=admin.has_change_permission(request),
        to=given.get("to", "").strip(),
        discards="discard_waiting" in given,
        reason=given.get("reason", ""),
        **values,
    )
    return answer


# The number of newest dead letters that are grouped by their error, and the number of errors that are shown.
_MOST_LETTERS, _MOST_ERRORS = 1_000, 5


def group_statistics(request: HttpRequest, stream: Stream, group: str) -> dict[str, Any]:
    """Return the context of `bridges/admin/group_statistics.html`."""
    asked = charts.chart_query_of(request, stream.name, OF_GROUP, group=group)
    now = int(time.time())
    found = ask_all({"charts": asked.conversation, "trend": read_trend(stream.name, group, now=now)})
    bridge = Bridge.objects.filter(stream=stream, group=group).first()
    targets = [
        f"group {group} of {stream.name}",
        f"stream {stream.name}",
        *([f"bridge {bridge.name}"] if bridge else []),
    ]
    return {
        "charts": charts.build_context(request, asked, found["charts"], targets=targets, group=group),
        "trend": "" if isinstance(found["trend"], Problem) else found["trend"],
        "errors": _find_errors(request, stream, group),
    }


def trend_of(stream: str, group: str) -> str:
    """Return a description of how the backlog of a group develops, "" when that is unknown."""
    found = ask_all({"trend": read_trend(stream, group, now=int(time.time()))})["trend"]
    return "" if isinstance(found, Problem) else found


def _find_errors(request: HttpRequest, stream: Stream, group: str) -> Any:
    """Return the dead letters grouped by error; None without payload access, because errors quote payloads."""
    if not payload_access.may_see(request):
        return None
    try:
        found = dead_letters.by_error(stream.name, group, by=person(request), most=_MOST_LETTERS)
    except FAILURES:
        return None
    return {"groups": found.groups[:_MOST_ERRORS], "further": len(found.groups[_MOST_ERRORS:]), "most": _MOST_LETTERS}


_OF_GROUP = "groups/<int:pk>/<str:group>/"

PAGES = (
    Page(path="new-group/<int:pk>/", name="group_new", view=create),
    Page(path=_OF_GROUP, name="group", view=show_group),
    *(
        Page(path=f"{_OF_GROUP}{name}/", name=f"group_{name}", view=view)
        for name, view in zip(ACTIONS, (pause, resume, move, delete), strict=True)
    ),
)
