"""Admin page that publishes a test event with the person's own rights, and checks of examples."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from contracts import registry
from contracts.models import Contract
from core import audit
from core.admin.base import MOST_CHOICES, Tab, person
from core.admin.json_field import JsonText, line_of, mark
from streams import connections
from streams.admin import tabs
from streams.connections import ask_all
from streams.models import EventType
from streams.snapshot import holder
from synapse.formats import exact_json
from synapse.http import exchange
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection import stream_stats
from synapse.inspection.sample import sample
from synapse.problems import Problem, document
from synapse.publishing import event_files, idempotency, pipeline

# In a catalog file it must be said; here it is asked for.
_BREAKS = "breaks the schema: "


def mistakes(
    *, stream: str, name: str, example: Any, contract: Contract | None, schema: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return the errors of an example as JSON Pointers and sentences, none when there is no example.

    It is checked against `schema`, or against the contract's active version when none is given.
    """
    subject = None if contract is None else contract.subject
    if schema is None and contract is not None and (active := registry.active_version(contract)):
        schema = orjson.loads(active.text)
    values = {"stream": stream, "name": name, "example": example, "contract": subject}
    return [(pointer, text.removeprefix(_BREAKS)) for pointer, text in event_files.complaints(values, schema)]


def sentence(pointer: str, mistake: str) -> str:
    """Return an error with its JSON Pointer."""
    return f"{pointer}: {mistake}" if pointer else mistake


class PublishForm(forms.Form):
    """The form of an event's text, which the server validates when it is published."""

    event = JsonText(required=False, strip=False)


def publish(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the event type's example as an event to publish; a POST publishes it, or only checks it."""
    event_type = admin.found(request, pk)
    if not person(request).rights.may("publish", event_type.stream.name, event_type.name):
        raise PermissionDenied
    form = PublishForm(request.POST or None, initial={"event": _first(event_type)})
    answer = None
    if request.method == "POST" and form.is_valid():
        answer = _sent(request, event_type, form.cleaned_data["event"])
        mark(form, "event", [found["line"] for found in answer["violations"]])
    stream = event_type.stream
    found = ask_all({"overview": stream_stats.overviews_of([stream.name])})["overview"]
    page: HttpResponse = admin.show(
        request,
        "streams/admin/test_event.html",
        title=f"Publish a test event to {stream.name}",
        row=event_type,
        tabs=tabs.of_event_type(request, event_type, "Publish a test event"),
        form=form,
        stream=stream,
        media=admin.media + form.media,
        overview=None if isinstance(found, Problem) else found[stream.name],
        answer=answer,
        others=[
            Tab(title=each.name, url=admin.page_url("publish", each.pk), active=each == event_type)
            for each in EventType.objects.filter(stream=stream)[:MOST_CHOICES]
        ],
    )
    return page


def _first(event_type: EventType) -> str:
    """Return the event to begin with: the example, else what the contract asks for."""
    example = event_type.example or _of_contract(event_type) or {"event_type": event_type.name}
    return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


def _of_contract(event_type: EventType) -> dict[str, Any] | None:
    active = None if event_type.contract is None else registry.active_version(event_type.contract)
    found = None if active is None else sample(orjson.loads(active.text))
    return {"event_type": event_type.name, **found} if isinstance(found, dict) else None


def _sent(request: HttpRequest, event_type: EventType, text: str) -> dict[str, Any]:
    """Publish the event and return the answer for the page. A stored event leaves an audit entry."""
    stream = event_type.stream.name
    asked = exchange.Request(
        method="POST",
        path=f"/events/{stream}",
        params={"stream": stream},
        # Each press of the button is an event of its own, also where a stream wants a key.
        headers={"content-type": exchange.JSON, idempotency.HEADER.lower(): uuid4().hex},
        body=text.encode("utf-8", "surrogatepass"),
        principal=person(request),
    )
    only_check = "check" in request.POST
    try:
        answer = _answer(asked, only_check=only_check)
    except FAILURES as failure:
        problem = problem_of(failure)
        return _shown(problem.status, document(problem), text, problem=problem)
    body = exact_json.loads(answer.whole_body)
    if not only_check:
        # The warnings of what it breaks quote the event.
        said = {name: value for name, value in body.items() if name != "warnings"}
        audit.record(person(request), "publish", f"stream {stream}", after=said)
    return _shown(answer.status, body, text)


def _answer(asked: exchange.Request, *, only_check: bool) -> exchange.Response:
    if only_check:
        return connections.executor().run(pipeline.validate_events(asked, holder.current()))
    catalog = holder.current()
    executor = connections.executor_for(catalog.streams.get(asked.params["stream"]))
    return executor.run(pipeline.publish_events(asked, catalog, connections.counters))


def _shown(status: int, body: dict[str, Any], text: str, problem: Problem | None = None) -> dict[str, Any]:
    found = body.get("violations") or body.get("warnings") or []
    return {
        "status": status,
        "body": body,
        "problem": problem,
        "violations": [{**each, "line": line_of(text, each["pointer"]) if each["pointer"] else None} for each in found],
    }
