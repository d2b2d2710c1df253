"""Back-tests in the admin: what a contract's draft would say of the events that are there."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from contracts.admin import extensions
from contracts.admin.contract import ContractAdmin
from contracts.admin.extensions import Offer
from contracts.models import Contract
from contracts.registry import draft_of
from core import payload_access
from core.admin.base import Page, person
from core.admin.json_field import line_of
from streams import candidate_schemas
from streams.models import Stream
from synapse.auth.people import VIEW_PAYLOAD
from synapse.inspection.backtest import Tested
from synapse.inspection.recent_events import MOST_EVENTS, USUAL_EVENTS, asked_last
from synapse.problems import Problem

_RIGHTS = ("streams.view_eventtype", "streams.view_stream", VIEW_PAYLOAD)


def back_test(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask how many events a contract's draft is tested on; a POST tests it. Nothing is changed; that
    the person looked is recorded."""
    contract = admin.found(request, pk)
    if not request.user.has_perms(_RIGHTS):
        # What a report quotes of events is theirs who may see events.
        raise PermissionDenied
    draft = draft_of(contract)
    last = request.POST.get("last", str(USUAL_EVENTS)).strip()
    results: list[dict[str, Any]] = []
    problem = None
    if request.method == "POST" and draft is not None:
        try:
            results = _results(request, contract.subject, draft.text, asked_last(last))
        except Problem as refused:
            problem = refused
    page: HttpResponse = admin.show(
        request,
        "streams/admin/back_test.html",
        title="Back-test",
        row=contract,
        draft=draft,
        last=last,
        most=MOST_EVENTS,
        results=results,
        problem=problem,
        back=admin.page_url("change", pk),
    )
    return page


def _results(request: HttpRequest, subject: str, text: str, last: int) -> list[dict[str, Any]]:
    """Return what was found for each event type.

    Raises:
        Problem: when something cannot be used: no event type, the draft, Redis.
    """
    found = list(
        candidate_schemas.back_tests(subject, candidate_schemas.of_draft(subject), by=person(request), last=last)
    )
    for tested in found:
        place, events = f"stream {tested.stream}", tested.walk.events
        payload_access.record(person(request), place, tested.example_ids, events=events, back_test=tested.event_type)
    return [_result(tested, text) for tested in found]


def _result(tested: Tested, text: str) -> dict[str, Any]:
    found = tested.as_dict()
    events, refused = found["events"], found["refused"]
    return {
        **found,
        "stream_pk": Stream.objects.get(name=tested.stream).pk,
        "share": f"{refused / events:.1%}" if events else "",
        "reasons": [{**reason, "line": line_of(text, reason["schema_pointer"])} for reason in found["violations"]],
    }


def _offer(request: HttpRequest, contract: Contract) -> Iterator[Offer]:
    if draft_of(contract) is not None and request.user.has_perms(_RIGHTS):
        yield Offer(title="Back-test the draft…", url=reverse("admin:contracts_contract_back_test", args=[contract.pk]))


ContractAdmin.pages.append(Page(path="<int:pk>/back-test/", name="back_test", view=back_test))
extensions.register_offers(_offer)
