"""What a contract was: one version, and the difference of any two."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse

from contracts import registry
from contracts.admin import drafts
from contracts.models import Contract, ContractVersion
from core.admin import text_diff
from synapse.errors.contracts import UnknownVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A version in the list of all, with the number of the one before it, None for none."""

    version: ContractVersion
    previous: int | None


def rows(contract: Contract) -> list[Row]:
    """Return the draft, then the versions from the newest, deleted ones too."""
    found = list(contract.versions.select_related("schema").order_by(F("number").desc(nulls_first=True)))
    before = [*(version.number for version in found[1:]), None][: len(found)]
    return [Row(version=version, previous=number) for version, number in zip(found, before, strict=True)]


def version(admin: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show one numbered version."""
    contract = admin.found(request, pk)
    found = numbered(contract, number)
    page: HttpResponse = admin.show(
        request,
        "contracts/admin/version.html",
        title=f"Version {number}",
        row=contract,
        version=found,
        active=registry.active_version(contract),
        previous=contract.versions.filter(number__lt=number).order_by("-number").first(),
        may_change=admin.has_change_permission(request, contract),
        may_delete=admin.has_delete_permission(request, contract),
    )
    return page


def differences(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show what differs between two versions: `old` and `new`, each a number or `draft`."""
    contract = admin.found(request, pk)
    found = {name_of(each): each for each in contract.versions.select_related("schema").order_by(F("number").asc())}
    if len(found) < 2:
        raise Http404
    newest = list(found)[-1] if "draft" not in found else "draft"
    new = request.GET.get("new", newest)
    old = request.GET.get("old", next(name for name in reversed(found) if name != new))
    if not {old, new} <= found.keys():
        raise Http404
    page: HttpResponse = admin.show(
        request,
        "contracts/admin/differences.html",
        title="Difference",
        row=contract,
        names=list(found),
        old=found[old],
        new=found[new],
        old_name=old,
        new_name=new,
        rows=text_diff.difference(drafts.readable(found[old]), drafts.readable(found[new])),
        is_only_layout=found[old].text != found[new].text,
    )
    return page


def numbered(contract: Contract, number: int) -> ContractVersion:
    """Return a version by its number.

    Raises:
        Http404: when the contract has none.
    """
    try:
        return registry.version(contract, number)
    except UnknownVersion as problem:
        raise Http404(problem.detail) from problem


def name_of(version: ContractVersion) -> str:
    """Return how an address names a version."""
    return "draft" if version.number is None else str(version.number)
