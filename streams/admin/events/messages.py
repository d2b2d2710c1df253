"""Admin pages of one message and of a stream's groups, and the base class of lists that show live statistics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from unfold.views import ChangeList  # type: ignore[import-untyped]

from core import payload_access
from core.admin.base import person
from streams.admin import tabs
from streams.admin.events import event_pages
from streams.admin.requests import answer_of, request_of
from streams.connections import ask_all
from streams.models import Stream
from streams.snapshot import holder
from synapse import inspection
from synapse.inspection import stream_stats
from synapse.inspection.groups import owners
from synapse.problems import Problem
from synapse.redis import Conversation
from synapse.statistics.overview import group_health, read_failures, read_histories


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePart:
    """A part of the page of one message that another app adds: its template, and its values by stream and entry id. It
    is also shown without payload access, so the values must hold only what the viewer may see.
    """

    template: str
    values: Callable[[HttpRequest, Stream, str], Mapping[str, Any]]


MESSAGE_PARTS: list[MessagePart] = []


def show_message(admin: Any, request: HttpRequest, pk: int, id: str) -> HttpResponse:
    """Show one message: the event, and the raw fields of its entry in Redis. Without payload access, show only the
    parts that other apps add.
    """
    stream = admin.get_row_or_404(request, pk)
    asked = ask_for_strip(stream)
    if payload_access.may_see(request):
        asked["message"] = inspection.show_message(request_of(request, stream.name, id=id), holder.current())
    found = ask_all(asked)
    answer = answer_of(found["message"]) if "message" in found else None
    if answer is not None and not isinstance(answer, Problem):
        payload_access.record(person(request), f"stream {stream.name}", [answer["id"]])
    return show_tab(
        admin,
        request,
        stream,
        "Message",
        found,
        message=None if isinstance(answer, Problem) else answer,
        actions=None
        if answer is None or isinstance(answer, Problem)
        else event_pages.build_actions(request, stream, answer),
        refused=answer if isinstance(answer, Problem) else None,
        parts=[{"template": part.template, "values": part.values(request, stream, id)} for part in MESSAGE_PARTS],
    )


def show_groups(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the stream's consumer groups: their lag, their backlog and their consumers."""
    stream = admin.get_row_or_404(request, pk)
    found = ask_all(
        {
            **ask_for_strip(stream),
            "groups": inspection.list_groups(request_of(request, stream.name), holder.current()),
            "failed": read_failures([stream.name]),
        }
    )
    failed = {} if isinstance(found["failed"], Problem) else found["failed"]
    known = owners()
    answer = answer_of(found["groups"])
    rows = [] if isinstance(answer, Problem) else answer["groups"]
    return show_tab(
        admin,
        request,
        stream,
        "Groups",
        found,
        groups=[
            {
                **row,
                "pages": tabs.of_group(request, stream, row["name"]),
                "lost": row["lost_trimmed"] + row["lost_silent"],
                "health": group_health(
                    known.get((stream.name, row["name"])),
                    failed=failed.get((stream.name, row["name"]), 0),
                    lag_seconds=row["lag_seconds"],
                    dead=row["dead"],
                    waiting=row["waiting"],
                ),
            }
            for row in rows
        ],
        refused=answer if isinstance(answer, Problem) else None,
    )


def ask_for_strip(stream: Stream) -> dict[str, Conversation[Any]]:
    """Return the conversations that read the statistics shown on all pages of a stream."""
    return {
        "overview": stream_stats.overviews_of([stream.name]),
        "past": read_histories([stream.name], with_hour=False),
    }


def strip_values(stream: Stream, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statistics that all pages of a stream show, from the result of `ask_for_strip`; None where they are
    unknown."""
    values = {
        name: None if isinstance(found[name], Problem) else found[name][stream.name] for name in ("overview", "past")
    }
    return values | {"problem": found["overview"] if values["overview"] is None else None}


def show_tab(
    admin: Any, request: HttpRequest, stream: Stream, tab: str, found: Mapping[str, Any], **values: Any
) -> HttpResponse:
    """Render one of the stream's pages, below the statistics that all of them show."""
    page: HttpResponse = admin.show(
        request,
        f"streams/admin/{tab.lower()}.html",
        title=f"{tab} of {stream.name}",
        row=stream,
        tabs=tabs.of_stream(request, stream, "Messages" if tab == "Message" else tab),
        **strip_values(stream, found),
        **values,
    )
    return page


Overviews = Callable[[Sequence[Any]], Conversation[Mapping[str, Any]]]


def attach_overviews(
    rows: Sequence[Any], overviews: Overviews, **further: Conversation[Mapping[str, Any]]
) -> Problem | None:
    """Set each row's `overview`, and an attribute for each further conversation; None where Redis could not answer.
    Return the problem when there are no overviews.
    """
    found = ask_all({"overview": overviews(rows), **further})
    for name, values in found.items():
        for row in rows:
            setattr(row, name, None if isinstance(values, Problem) else values[row.name])
    problem: Problem | None = found["overview"] if isinstance(found["overview"], Problem) else None
    return problem


class LiveList(ChangeList):  # type: ignore[misc]
    """A change list whose rows have overviews, read in a fixed number of round trips."""

    overviews: ClassVar[Overviews]
    problem: Problem | None = None
    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.problem = attach_overviews(self.result_list, type(self).overviews, **self.further_conversations())

    def further_conversations(self) -> Mapping[str, Conversation[Mapping[str, Any]]]:
        """Return further conversations to run for the rows, by the attribute that receives the result."""
        return {}
