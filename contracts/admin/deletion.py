"""Deleting a version: first it is hidden, then it can go for good. Each is asked first."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from contracts import registry
from contracts.admin.version_actions import instead_of, take
from contracts.admin.versions import numbered
from contracts.models import ContractVersion
from core.admin.base import person


def delete(admin: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Ask whether a version is to be hidden, or a hidden one to be deleted for good; then do it.

    The question names which of the two it was: a second click on the first never does the second.
    """
    contract = admin.found(request, pk, to="delete")
    version = numbered(contract, number)
    for_good = request.POST.get("for_good") == "yes" if request.method == "POST" else version.deleted_at is not None
    if request.method == "POST":
        return take(admin, request, contract, lambda: _deleted(version, request, for_good=for_good))
    page: HttpResponse = admin.show(
        request,
        "contracts/admin/delete.html",
        title=f"Delete version {number}",
        row=contract,
        question=f"Delete version {number} of “{contract.subject}” for good?"
        if for_good
        else f"Delete version {number} of “{contract.subject}”?",
        consequences=_of_good(version) if for_good else _of_hiding(version),
        for_good=for_good,
        button="Delete for good" if for_good else "Delete",
        is_dangerous=True,
        back=admin.page_url("version", pk, number),
    )
    return page


def _deleted(version: ContractVersion, request: HttpRequest, *, for_good: bool) -> str:
    number = version.number
    registry.delete_version(version, by=person(request), permanent=for_good)
    return f"Version {number} is deleted{' for good' if for_good else ''}."


def _of_hiding(version: ContractVersion) -> list[str]:
    return [
        instead_of(version),
        "Nothing is compared with it any more, and clients of the registry no longer find it. By its global id its "
        "schema can still be read.",
        "It cannot be undone; its schema can be made a new version.",
    ]


def _of_good(version: ContractVersion) -> list[str]:
    return [
        "The version is gone from this page and from the registry; its text stays in the record.",
        f"The number {version.number} stays taken.",
    ]
