"""Admin pages of a contract's versions: one version, the difference of two, downloads as schema or Python code."""

from dataclasses import dataclass

from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from contracts import registry
from contracts.models import Contract, ContractVersion
from contracts.registry.references import documents_of
from core.admin import revisions
from core.admin.base import AuditedAdmin
from core.views import with_entity_tag
from synapse.errors.contracts import NoPythonCode, UnknownVersion
from synapse.schema import validator
from synapse.schema.codegen import generator


def canonical_text_of(version: ContractVersion | None) -> str:
    """Return a version's schema in canonical layout, so that a difference shows only content; "" without a version."""
    return "" if version is None else validator.canonical_text(validator.parse_schema(version.text))


def get_schema(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Download the schema as its author wrote it."""
    contract = admin.get_row_or_404(request, pk)
    version = get_version_or_404(contract, number)
    name = f"{generator.module_name(contract.subject)}_v{number}.schema.json"
    return _answer_file(request, version.text, name, "application/schema+json")


def get_code(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Download a Python module with a model of events that satisfy the version."""
    contract = admin.get_row_or_404(request, pk)
    version = get_version_or_404(contract, number)
    if version.schema is None:
        raise Http404
    try:
        made = generator.generate_module(
            contract.subject, number, validator.parse_schema(version.text), documents_of(version.schema)
        )
    except NoPythonCode as problem:
        admin.message_user(request, f"There is no Python code for version {number}. {problem.detail}", messages.ERROR)
        return redirect(admin.page_url("version", pk, number))
    return _answer_file(request, made.text, made.file_name, "text/x-python; charset=utf-8")


def _answer_file(request: HttpRequest, text: str, name: str, content_type: str) -> HttpResponse:
    headers = {
        "Content-Disposition": str(content_disposition_header(True, name)),
        # Otherwise a browser could render the file as a page of this host.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return with_entity_tag(request, HttpResponse(text, content_type=content_type, headers=headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version in the list. `previous` is the number of the version before it, None if there is none."""

    version: ContractVersion
    previous: int | None


def rows_of(contract: Contract) -> list[VersionRow]:
    """Return the draft, and then all versions, also deleted ones, newest first."""
    found = list(contract.versions.select_related("schema").order_by(F("number").desc(nulls_first=True)))
    before = [*(version.number for version in found[1:]), None][: len(found)]
    return [VersionRow(version=version, previous=number) for version, number in zip(found, before, strict=True)]


def show_version(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show one numbered version."""
    contract = admin.get_row_or_404(request, pk)
    found = get_version_or_404(contract, number)
    return admin.show(
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


def show_differences(admin: AuditedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the differences between two versions: `old` and `new`, each a number or `draft`."""
    contract = admin.get_row_or_404(request, pk)
    found = {name_of(each): each for each in contract.versions.select_related("schema").order_by(F("number").asc())}
    if len(found) < 2:
        raise Http404
    newest = list(found)[-1] if "draft" not in found else "draft"
    new = request.GET.get("new", newest)
    old = request.GET.get("old", next(name for name in reversed(found) if name != new))
    if not {old, new} <= found.keys():
        raise Http404
    return admin.show(
        request,
        "contracts/admin/differences.html",
        title="Difference",
        row=contract,
        names=list(found),
        old=found[old],
        new=found[new],
        old_name=old,
        new_name=new,
        rows=revisions.difference(canonical_text_of(found[old]), canonical_text_of(found[new])),
        is_only_layout=found[old].text != found[new].text,
    )


def get_version_or_404(contract: Contract, number: int) -> ContractVersion:
    """Return a version by its number.

    Raises:
        Http404: when the contract has no version with this number.
    """
    try:
        return registry.version(contract, number)
    except UnknownVersion as problem:
        raise Http404(problem.detail) from problem


def name_of(version: ContractVersion) -> str:
    """Return a version's name in URLs."""
    return "draft" if version.number is None else str(version.number)
