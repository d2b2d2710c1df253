"""Actions with one event: copy it as a program, compare it with another one, publish it again."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from core import payload_access
from core.admin.base import person
from core.admin.revisions import difference
from streams.admin.requests import answer_of, request_of
from streams.connections import ask_all
from streams.models import Stream
from streams.snapshot import holder
from synapse import inspection
from synapse.auth.principal import PERSONAL
from synapse.formats import exact_json
from synapse.http import exchange
from synapse.problems import Problem
from synapse.publishing.programs import programs
from synapse.redis import Conversation
from synapse.schema import pii

# The number of events that are offered for a comparison: the latest of the same type.
CANDIDATES = 10


def build_actions(request: HttpRequest, stream: Stream, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of `event_actions.html` for a message."""
    event = publishable_event(message)
    return {
        "programs": programs(stream.name, event, needs_key=stream.idempotency_key == "required"),
        "may_publish": person(request).rights.may("publish", stream.name),
        "is_masked": holds_mask(request, event),
        "name": f"{stream.name}/{message['id']}",
    }


def publishable_event(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of a message as a publisher sends it.

    Where a program stored the event type in a field beside the event, it is added to the event.
    """
    event: dict[str, Any] = message["event"]
    event_type = message["event_type"]
    return event if "event_type" in event or not event_type else {"event_type": event_type, **event}


def holds_mask(request: HttpRequest, event: Any) -> bool:
    """Say whether an event contains masks that hide values from the person."""
    return not person(request).rights.has(PERSONAL) and pii.holds_mask(event)


def compare(admin: Any, request: HttpRequest) -> HttpResponse:
    """Show the difference of two events, each named `event=STREAM/ID`.

    When only one is named, offer events to compare it with.
    """
    if not admin.has_view_permission(request):
        raise PermissionDenied
    payload_access.check_permission(request)
    names = [name for text in request.GET.getlist("event") if (name := text.strip())]
    shown = names[:2]
    found = ask_all({name: _read_event(request, name) for name in shown})
    answers = {name: answer_of(found[name]) for name in shown}
    streams = {answer["stream"] for answer in answers.values() if not isinstance(answer, Problem)}
    pks = dict(Stream.objects.filter(name__in=streams).values_list("name", "pk"))
    for name, answer in answers.items():
        if not isinstance(answer, Problem):
            payload_access.record(person(request), f"stream {answer['stream']}", [answer["id"]])
            answers[name] = {**answer, "pk": pks.get(answer["stream"])}
    good = [answers[name] for name in shown if not isinstance(answers[name], Problem)]
    context: dict[str, Any] = {
        "names": shown,
        "problems": [answer for answer in answers.values() if isinstance(answer, Problem)],
        "too_many": len(names) > len(shown),
        "events": good if len(good) == 2 else None,
    }
    if len(good) == 2:
        one, other = map(_comparable_text, good)
        context |= {
            "rows": difference(one, other),
            "is_equal": one == other,
            "is_masked": any(holds_mask(request, each["event"]) for each in good),
        }
    elif len(good) == 1:
        context |= {"first": good[0], "candidates": _find_candidates(request, good[0])}
    page: HttpResponse = admin.show(request, "streams/admin/compare.html", title="Compare two events", **context)
    return page


def _read_event(request: HttpRequest, name: str) -> Conversation[exchange.Response]:
    stream, _, id_ = name.rpartition("/")
    return inspection.show_message(request_of(request, stream, id=id_), holder.current())


def _comparable_text(message: Mapping[str, Any]) -> str:
    """Return an event as text with its properties sorted by name, because their order means nothing in JSON."""
    return exact_json.dumps(message["event"], option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()


def _find_candidates(request: HttpRequest, first: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the latest events of the same stream and type, without contents."""
    query = {"count": str(CANDIDATES), "event_type": first["event_type"] or ""}
    asked = request_of(request, first["stream"], query=query)
    answer = answer_of(ask_all({"page": inspection.list_messages(asked, holder.current())})["page"])
    rows = [] if isinstance(answer, Problem) else answer["messages"]
    return [row for row in rows if row["id"] != first["id"]]
