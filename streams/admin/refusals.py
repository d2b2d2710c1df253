"""The tab of a stream's refused events: a row for each kind, with links to its contract and its publisher."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from contracts.models import ContractVersion
from core import payload_access
from core.admin.base import person
from streams.admin.events.messages import ask_for_strip, show_tab
from streams.connections import ask_all
from streams.models import Service
from streams.snapshot import holder
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.auth.principal import EVERY_TYPE
from synapse.inspection.refusals import refusals_of, seen_by
from synapse.problems import Problem

_SERVICE = "service:"


def show_refusals(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the refused events of a stream, as far as the person may see them."""
    stream = admin.get_row_or_404(request, pk)
    definition = holder.current().streams[stream.name]
    found = ask_all({**ask_for_strip(stream), "refusals": refusals_of(definition)})
    answer = found["refusals"]
    rows = [] if isinstance(answer, Problem) else seen_by(person(request).rights, definition, answer)
    samples = [f"refusal {row['id']}" for row in rows if row["sample"] is not None]
    payload_access.record(person(request), f"stream {stream.name}", samples)
    pages_of_row = _page_finder(request, rows)
    return show_tab(
        admin,
        request,
        stream,
        "Refusals",
        found,
        rows=[{**row, **pages_of_row(row), "last_at": datetime.fromisoformat(row["last_seen"])} for row in rows],
        is_by_reason=not person(request).rights.may("read", stream.name, EVERY_TYPE),
        has_marks=bool(definition.marks),
        refused=answer if isinstance(answer, Problem) else None,
    )


def _page_finder(
    request: HttpRequest, rows: Collection[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """Return a function that returns the addresses for a row: of its contract's version, its back-test, and its
    publisher.
    """
    versions = {}
    if request.user.has_perm("contracts.view_contract"):
        subjects = {row["contract"] for row in rows if row["contract"]}
        for contract_pk, subject, number in ContractVersion.objects.filter(
            contract__subject__in=subjects, number__isnull=False, deleted_at=None
        ).values_list("contract_id", "contract__subject", "number"):
            versions[subject, number] = contract_pk
    services = {}
    if request.user.has_perm("streams.view_service"):
        names = {row["publisher"].removeprefix(_SERVICE) for row in rows if row["publisher"]}
        services = dict(Service.objects.filter(name__in=names).values_list("name", "pk"))
    may_test = request.user.has_perms(("streams.view_eventtype", "streams.view_stream", VIEW_PAYLOAD))

    def pages_of_row(row: Mapping[str, Any]) -> dict[str, str]:
        found = {}
        number = row["contract_version"]
        if contract_pk := versions.get((row["contract"], number)):
            found["version_url"] = reverse("admin:contracts_contract_version", args=[contract_pk, number])
            if may_test:
                page = reverse("admin:contracts_contract_back_test", args=[contract_pk])
                found["back_test_url"] = f"{page}?version={number}"
        publisher = row["publisher"] or ""
        if publisher.startswith(_SERVICE) and (service := services.get(publisher.removeprefix(_SERVICE))):
            found["publisher_url"] = reverse("admin:streams_service_change", args=[service])
        return found

    return pages_of_row
