"""Admin pages that publish a test event, or an event again, with the person's own rights; and checks of examples."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
from django import forms
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from contracts import registry
from contracts.models import Contract
from core import audit, payload_access
from core.admin.base import MOST_CHOICES, Tab, person
from core.admin.json_field import JsonText, line_of, mark
from streams import connections
from streams.admin import tabs
from streams.admin.events.event_pages import publishable_event
from streams.admin.requests import answer_of, request_of
from streams.connections import ask_all
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse import inspection
from synapse.auth.principal import PERSONAL, SYSTEM
from synapse.formats import exact_json, strict_json
from synapse.http import exchange
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection import stream_stats
from synapse.inspection.range_query import parse_entry_id
from synapse.inspection.sample import make_sample
from synapse.problems import Problem, document
from synapse.publishing import event_files, idempotency, pipeline
from synapse.schema import pii

# Signs the id of the event that a person was shown to publish again.
_SIGNER = signing.Signer(salt="publish again")
# A prefix that the error texts need in catalog files only; this page asks for the schema's rules anyway.
_BREAKS = "breaks the schema: "
_MASKED = (
    f"The event has “{pii.MASK}” in it, which stands for a value that you may not see. Publish it with another value in"
    " its place, or ask a person with the permission “Can see personal fields of events”."
)


def find_example_errors(
    *, stream: str, name: str, example: Any, contract: Contract | None, schema: Mapping[str, Any] | None = None
) -> list[tuple[str, str]]:
    """Return the errors of an example event, as JSON Pointers and sentences; none without an example. It is checked
    against `schema`, or without one against the contract's active version.
    """
    subject = None if contract is None else contract.subject
    if schema is None and contract is not None and (active := registry.active_version(contract)):
        schema = orjson.loads(active.text)
    values = {"stream": stream, "name": name, "example": example, "contract": subject}
    return [(pointer, text.removeprefix(_BREAKS)) for pointer, text in event_files.complaints(values, schema)]


def format_error(pointer: str, mistake: str) -> str:
    """Return an error's text behind its JSON Pointer."""
    return f"{pointer}: {mistake}" if pointer else mistake


class PublishForm(forms.Form):
    """The form with an event as text; publishing validates it."""

    event = JsonText(required=False, strip=False)


def publish(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the event type's example as an event to publish; a POST publishes it, or only checks it."""
    event_type = admin.get_row_or_404(request, pk)
    stream = event_type.stream
    _check_right(request, stream, event_type.name)
    return _form_page(
        admin,
        request,
        stream,
        first=_first_text(event_type),
        title=f"Publish a test event to {stream.name}",
        row=event_type,
        tabs=tabs.of_event_type(request, event_type, "Publish a test event"),
        others=[
            Tab(title=each.name, url=admin.page_url("publish", each.pk), active=each == event_type)
            for each in EventType.objects.filter(stream=stream)[:MOST_CHOICES]
        ],
    )


def publish_again(admin: Any, request: HttpRequest, pk: int, id: str) -> HttpResponse:
    """Show a stored event in a form that publishes it again, without the values that the person may not see."""
    stream = admin.get_row_or_404(request, pk)
    payload_access.check_permission(request)
    _check_right(request, stream)
    again = {"row": stream, "tabs": tabs.of_stream(request, stream, "Messages")}
    original_id = _parse_entry_id(id)
    signature = _SIGNER.signature(f"{request.user.pk}/{stream.name}/{original_id}")
    again |= {"title": f"Publish again to {stream.name}", "original_id": original_id, "signature": signature}
    if request.method == "POST":
        # The event is not read again, because it may be trimmed while a person edits it. The signature proves that it
        # existed.
        if not constant_time_compare(request.POST.get("signature", ""), signature):
            raise Http404
        return _form_page(admin, request, stream, first="", **again)
    asked, catalog = request_of(request, stream.name, id=id), holder.current()
    found = ask_all(
        {
            "shown": inspection.show_message(asked, catalog),
            "stored": inspection.show_message(asked._replace(principal=SYSTEM), catalog),
        }
    )
    message, whole = (answer_of(found[name]) for name in ("shown", "stored"))
    for answer in (message, whole):
        if isinstance(answer, Problem):
            return _form_page(admin, request, stream, first="", refused=answer, **again)
    payload_access.record(person(request), f"stream {stream.name}", [message["id"]])
    shown, stored = publishable_event(message), publishable_event(whole)
    first = _format_event(without_hidden(shown, stored))
    return _form_page(admin, request, stream, first=first, is_masked=shown != stored, **again)


def _parse_entry_id(text: str) -> str:
    try:
        return str(parse_entry_id(text))
    except Problem:
        raise Http404 from None


def without_hidden(shown: Any, stored: Any) -> Any:
    """Return an event as a person may see it (`shown`), without the masked values: those that differ from `stored`."""
    if isinstance(shown, dict) and isinstance(stored, dict):
        return {
            name: without_hidden(value, stored[name])
            for name, value in shown.items()
            if name in stored and not _is_hidden(value, stored[name])
        }
    if isinstance(shown, list) and isinstance(stored, list):
        pairs = zip(shown, stored, strict=False)
        return [without_hidden(value, was) for value, was in pairs if not _is_hidden(value, was)]
    return shown


def _is_hidden(shown: Any, stored: Any) -> bool:
    return shown != stored and not (type(shown) is type(stored) and isinstance(shown, dict | list))


def _check_right(request: HttpRequest, stream: Stream, event_type: str | None = None) -> None:
    if not person(request).rights.may("publish", stream.name, event_type):
        raise PermissionDenied


def _form_page(
    admin: Any, request: HttpRequest, stream: Stream, *, first: str, original_id: str = "", **context: Any
) -> HttpResponse:
    """Show the form of an event's text, which a POST publishes or only checks."""
    form = PublishForm(request.POST or None, initial={"event": first})
    answer = None
    if request.method == "POST" and form.is_valid():
        text = form.cleaned_data["event"]
        if _has_mask(text) and not person(request).rights.has(PERSONAL):
            form.add_error("event", _MASKED)
        else:
            answer = _publish_text(request, stream, text, original_id)
            mark(form, "event", [found["line"] for found in answer["violations"]])
    found = ask_all({"overview": stream_stats.overviews_of([stream.name])})["overview"]
    page: HttpResponse = admin.show(
        request,
        "streams/admin/test_event.html",
        form=form,
        stream=stream,
        media=admin.media + form.media,
        overview=None if isinstance(found, Problem) else found[stream.name],
        answer=answer,
        original_id=original_id,
        **context,
    )
    return page


def _has_mask(text: str) -> bool:
    """Say whether an event's text contains a mask, also within a longer value: a person may have typed around it."""
    try:
        return pii.MASK in exact_json.dumps(strict_json.loads(text.encode())).decode()
    except (UnicodeEncodeError, strict_json.BadJSON):
        return False  # Publishing reports the error.


def _first_text(event_type: EventType) -> str:
    """Return the text that the form begins with: the example, else an event sampled from the contract."""
    example = event_type.example or _sample_event(event_type) or {"event_type": event_type.name}
    return _format_event(example)


def _format_event(event: Any) -> str:
    return exact_json.dumps(event, option=orjson.OPT_INDENT_2).decode()


def _sample_event(event_type: EventType) -> dict[str, Any] | None:
    active = None if event_type.contract is None else registry.active_version(event_type.contract)
    found = None if active is None else make_sample(orjson.loads(active.text))
    return {"event_type": event_type.name, **found} if isinstance(found, dict) else None


def _publish_text(request: HttpRequest, to: Stream, text: str, original_id: str) -> dict[str, Any]:
    """Publish or check the event, and return the answer for the page. A stored event leaves an audit entry, with
    `original_id` if it is published again.
    """
    stream = to.name
    asked = exchange.Request(
        method="POST",
        path=f"/events/{stream}",
        params={"stream": stream},
        # Each press of the button publishes a new event, also where a stream requires a key.
        headers={"content-type": exchange.JSON, idempotency.HEADER.lower(): uuid4().hex},
        body=text.encode("utf-8", "surrogatepass"),
        principal=person(request),
    )
    only_check = "check" in request.POST
    try:
        answer = _run_request(asked, only_check=only_check)
    except FAILURES as failure:
        problem = problem_of(failure)
        return _answer_values(problem.status, document(problem), text, problem=problem)
    body = exact_json.loads(answer.whole_body)
    if not only_check:
        # Warnings are left out, because they quote the event.
        said = {name: value for name, value in body.items() if name != "warnings"}
        if original_id:
            said["published_again"] = original_id
        audit.record(person(request), "publish", f"stream {stream}", after=said)
    return _answer_values(answer.status, body, text)


def _run_request(asked: exchange.Request, *, only_check: bool) -> exchange.Response:
    if only_check:
        return connections.executor().run(pipeline.validate_events(asked, holder.current()))
    catalog = holder.current()
    executor = connections.executor_for(catalog.streams.get(asked.params["stream"]))
    return executor.run(pipeline.publish_events(asked, catalog, connections.counters))


def _answer_values(status: int, body: dict[str, Any], text: str, problem: Problem | None = None) -> dict[str, Any]:
    found = body.get("violations") or body.get("warnings") or []
    return {
        "status": status,
        "body": body,
        "problem": problem,
        "violations": [{**each, "line": line_of(text, each["pointer"]) if each["pointer"] else None} for each in found],
    }
