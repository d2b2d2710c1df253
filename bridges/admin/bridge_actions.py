"""Admin pages that act on one bridge: pause, resume, and send a test event to its receiver."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from bridges import groups
from bridges.models import Bridge
from bridges.sinks import registry
from bridges.snapshot import definition_of
from core import audit, payload_access
from core.admin.base import Page, person
from core.admin.json_field import JsonText
from streams.models import EventType
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.sink import Delivery, TryOutResult
from synapse.errors.delivery import SinkAway
from synapse.formats import exact_json
from synapse.problems import Problem
from synapse.wire.encoding import DecodedEntry

# The seconds within which a receiver must answer a test event, because a thread of the web server waits for it.
MOST_SECONDS = 10
HIDDEN = "The answer is shown only with the permission to see payloads: it may quote the event."


class TrialForm(forms.Form):
    """The form of a test event's text."""

    event = JsonText(strip=False)

    def clean_event(self) -> dict[str, Any]:
        """Refuse a text that is not a JSON object."""
        found = self.fields["event"].parsed(self.cleaned_data["event"])  # type: ignore[attr-defined]
        if not isinstance(found, dict):
            raise forms.ValidationError("An event is a JSON object.")
        return found


def can_try_out(bridge: Bridge) -> bool:
    """Say whether a test event can be sent to the sink of a bridge."""
    return bridge.sink in registry.sink_names() and registry.find_sink(bridge.sink).can_try_out


def pause(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Pause the bridge."""
    return _set_paused(admin, request, pk, paused=True)


def resume(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Resume the paused bridge."""
    return _set_paused(admin, request, pk, paused=False)


def try_out(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the test event that would be sent to the receiver; a POST sends it, and shows what happened."""
    bridge = admin.get_row_or_404(request, pk, to="change")
    if not can_try_out(bridge):
        raise Http404
    form = TrialForm(request.POST if "event" in request.POST else None, initial={"event": _event_of(bridge)})
    trial, refused = None, None
    if request.method == "POST" and (not form.is_bound or form.is_valid()):
        event = form.cleaned_data["event"] if form.is_bound else orjson.loads(_event_of(bridge))
        try:
            trial = _send_test_event(request, bridge, event)
        except Problem as problem:
            refused = problem
    answer: HttpResponse = admin.show(
        request,
        "bridges/admin/try_out.html",
        title=f"Test event for {bridge.name}",
        row=bridge,
        bridge=bridge,
        form=form,
        media=admin.media + form.media,
        trial=trial,
        refused=refused,
        hidden="" if payload_access.may_see(request) else HIDDEN,
        back=admin.page_url("change", pk),
    )
    return answer


PAGES = (
    Page(path="<int:pk>/pause/", name="pause", view=pause),
    Page(path="<int:pk>/resume/", name="resume", view=resume),
    Page(path="<int:pk>/test/", name="try_out", view=try_out),
)


def _set_paused(admin: Any, request: HttpRequest, pk: int, *, paused: bool) -> HttpResponse:
    bridge = admin.get_row_or_404(request, pk, to="change")
    if request.method == "POST":
        act = groups.pause if paused else groups.resume
        try:
            act(bridge.stream.name, bridge.group, by=person(request))
        except Problem as problem:
            messages.error(request, problem.detail)
        else:
            said = "is paused: running consumers stop within seconds, and events wait" if paused else "is resumed"
            messages.success(request, f"“{bridge.name}” {said}.")
    return redirect(admin.page_url("change", pk))


def _event_of(bridge: Bridge) -> str:
    """Return the text of a test event: the example of an event type that the bridge delivers, if there is one."""
    types = EventType.objects.filter(stream=bridge.stream)
    if bridge.event_types:
        types = types.filter(name__in=bridge.event_types)
    found = types.exclude(example=None).first() or types.first()
    name = found.name if found else next(iter(bridge.event_types), "test")
    return exact_json.dumps(
        (found and found.example) or {"event_type": name, "test": True}, option=orjson.OPT_INDENT_2
    ).decode()


def _send_test_event(request: HttpRequest, bridge: Bridge, event: dict[str, Any]) -> TryOutResult:
    """Send the event, and record that in the audit log."""
    definition = definition_of(bridge)
    by = person(request)
    trial = _deliver_once(definition, event, source=by.name)
    said = {"taken": trial.is_taken, "status": trial.status, "ms": trial.ms}
    audit.record(by, "test", f"bridge {bridge.name}", after=said)
    return trial


def _deliver_once(bridge: BridgeDefinition, event: dict[str, Any], *, source: str) -> TryOutResult:
    now = datetime.now(UTC)
    delivery = Delivery(stream=bridge.stream, id=f"{int(now.timestamp() * 1000)}-0", attempt=1, parts=())
    delivery.entry = DecodedEntry(
        event=event,
        event_type=str(event.get("event_type", "")),
        timestamp=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        source=source,
        contract_version=None,
        layout="flat",
    )
    limited = replace(bridge, handler_timeout_seconds=min(bridge.handler_timeout_seconds, MOST_SECONDS))
    config = registry.config_of(bridge.sink, bridge.config)
    sink = registry.find_sink(bridge.sink).open(config, limited, stopping=lambda: False)
    try:
        return sink.try_out(delivery)
    except SinkAway as away:
        return TryOutResult(is_taken=False, ms=0, said=str(away))
    finally:
        sink.close()
