"""Candidate schemas in the admin: back-tests of a contract's draft, and drafts from an event type's newest events."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from contracts.admin import extensions
from contracts.admin.contract import ContractAdmin
from contracts.admin.extensions import ActionLink
from contracts.admin.versions import get_version_or_404
from contracts.models import Contract, ContractVersion
from contracts.registry import draft_of
from core import payload_access
from core.admin.base import Page, person
from core.admin.json_field import JsonText, line_of
from core.admin.revisions import difference
from streams import candidate_schemas, connections
from streams.admin import tabs
from streams.candidate_schemas import subject_of
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection import draft_from_traffic
from synapse.inspection.backtest import Tested
from synapse.inspection.draft_from_traffic import Proposal
from synapse.inspection.recent_events import MOST_EVENTS, USUAL_EVENTS, parse_last

_RIGHTS = ("streams.view_eventtype", "streams.view_stream", VIEW_PAYLOAD)


def back_test(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form that back-tests a contract's draft, or the version that the parameter `version` names; a POST runs
    the test. Changes only the audit log, which records the payload access.
    """
    contract = admin.get_row_or_404(request, pk)
    if not request.user.has_perms(_RIGHTS):
        # A report quotes events, so it needs the right to see them.
        raise PermissionDenied
    number = request.GET.get("version", "")
    tested = (
        get_version_or_404(contract, int(number)) if number.isascii() and number.isdecimal() else draft_of(contract)
    )
    last = request.POST.get("last", str(USUAL_EVENTS)).strip()
    results: list[dict[str, Any]] = []
    problem = None
    if request.method == "POST" and tested is not None:
        try:
            results = _run_back_tests(request, tested, parse_last(last))
        except FAILURES as failure:
            problem = problem_of(failure)
    page: HttpResponse = admin.show(
        request,
        "streams/admin/back_test.html",
        title="Back-test",
        row=contract,
        tested=tested,
        last=last,
        most=MOST_EVENTS,
        results=results,
        problem=problem,
        back=admin.page_url("change", pk),
    )
    return page


def _run_back_tests(request: HttpRequest, version: ContractVersion, last: int) -> list[dict[str, Any]]:
    """Back-test a version on the newest events of each event type, and return the results."""
    subject, candidate = version.contract.subject, candidate_schemas.from_version(version)
    found = list(candidate_schemas.back_tests(subject, candidate, by=person(request), last=last))
    for tested in found:
        place, events = f"stream {tested.stream}", tested.scan.events
        payload_access.record(person(request), place, tested.example_ids, events=events, back_test=tested.event_type)
    return [_describe_result(tested, version.text) for tested in found]


def _describe_result(tested: Tested, text: str) -> dict[str, Any]:
    found = tested.as_dict()
    events, refused = found["events"], found["refused"]
    return {
        **found,
        "stream_pk": Stream.objects.get(name=tested.stream).pk,
        "share": f"{refused / events:.1%}" if events else "",
        "reasons": [{**reason, "line": line_of(text, reason["schema_pointer"])} for reason in found["violations"]],
    }


def _link_back_test(request: HttpRequest, contract: Contract) -> Iterator[ActionLink]:
    if draft_of(contract) is not None and request.user.has_perms(_RIGHTS):
        yield ActionLink(
            title="Back-test the draft…", url=reverse("admin:contracts_contract_back_test", args=[contract.pk])
        )


ContractAdmin.pages.append(Page(path="<int:pk>/back-test/", name="back_test", view=back_test))
extensions.register_action_links(_link_back_test)


DRAFT_TITLE = "Draft from traffic"


class ProposalForm(forms.Form):
    """The proposed schema that a person saves as the draft."""

    schema = JsonText(strip=False)
    replace = forms.BooleanField(required=False)


def draft_from_newest_events(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form that drafts a contract from events: one POST proposes a schema, another saves it as the draft."""
    event_type = admin.get_row_or_404(request, pk)
    if not person(request).rights.may("read", event_type.stream.name, event_type.name):
        # A proposal can contain values of events.
        raise PermissionDenied
    subject = subject_of(event_type.stream.name, event_type.name)
    contract = Contract.objects.filter(subject=subject).first()
    standing = None if contract is None else draft_of(contract)
    may_save = _may_save(admin, request, contract)
    last = request.POST.get("last", str(USUAL_EVENTS)).strip()
    proposal = problem = None
    try:
        if "save" in request.POST:
            if not may_save:
                raise PermissionDenied
            return _save_draft(admin, request, event_type, subject)
        if request.method == "POST":
            proposal = _propose_draft(request, event_type, parse_last(last))
    except FAILURES as failure:
        problem = problem_of(failure)
    page: HttpResponse = admin.show(
        request,
        "streams/admin/proposal.html",
        title=DRAFT_TITLE,
        row=event_type,
        tabs=tabs.of_event_type(request, event_type, DRAFT_TITLE),
        subject=subject,
        contract=contract,
        standing=standing,
        last=last,
        most=MOST_EVENTS,
        proposal=proposal,
        rows=[] if proposal is None else difference(proposal.active or "", proposal.text),
        replaces=proposal is not None and standing is not None and standing.text != proposal.text,
        may_save=may_save,
        problem=problem,
    )
    return page


def _propose_draft(request: HttpRequest, event_type: EventType, last: int) -> Proposal:
    stream, by = event_type.stream.name, person(request)
    asked = draft_from_traffic.draft_schema(holder.current(), stream, event_type.name, by=by, last=last)
    proposal = connections.executor().run(asked)
    payload_access.record(person(request), f"stream {stream}", [], events=proposal.scan.events, draft=event_type.name)
    return proposal


def _may_save(admin: Any, request: HttpRequest, contract: Contract | None) -> bool:
    owner = admin.admin_site.get_model_admin(Contract)
    if contract is None:
        return bool(owner.has_add_permission(request))
    return bool(owner.has_change_permission(request, contract))


def _save_draft(admin: Any, request: HttpRequest, event_type: EventType, subject: str) -> HttpResponse:
    """Save the proposal that the person saw as the draft, and show the contract."""
    form = ProposalForm(request.POST)
    if not form.is_valid():
        return redirect(request.path)
    replace = form.cleaned_data["replace"]
    saved = candidate_schemas.save_draft(subject, form.cleaned_data["schema"], replace=replace, by=person(request))
    admin.message_user(request, f"Saved as the draft of “{subject}”. It takes effect when it is activated.")
    if event_type.contract_id is None:
        advice = f"choose “{subject}” on its page, or it stays unchecked."
        admin.message_user(request, f"“{event_type}” points at no contract yet: {advice}", messages.WARNING)
    return redirect(reverse("admin:contracts_contract_change", args=[saved.contract_id]))
