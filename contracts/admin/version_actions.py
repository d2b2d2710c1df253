"""Admin actions on a contract's versions. Each page shows the consequences; its POST confirms the action.

A rollback creates a new version with the text of an older one: version numbers only rise.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from contracts import registry
from contracts.admin import compatibility, extensions, versions
from contracts.admin.versions import get_version_or_404
from contracts.models import Contract, ContractVersion
from contracts.registry.content import Content, content_of
from core import audit
from core.admin.base import AuditedAdmin, person
from core.admin.revisions import difference
from synapse.auth.principal import Principal
from synapse.errors.contracts import DraftChanged
from synapse.problems import Problem
from synapse.schema import validator


def delete(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Ask for confirmation to hide a version, or to delete a hidden one for good. A POST does it.

    The form says which of the two it asked about, so a second click on “Delete” does not delete for good.
    """
    contract = admin.get_row_or_404(request, pk, to="delete")
    version = get_version_or_404(contract, number)
    for_good = request.POST.get("for_good") == "yes" if request.method == "POST" else version.deleted_at is not None
    if request.method == "POST":
        return run_step(admin, request, contract, lambda: _delete_version(version, request, for_good=for_good))
    return admin.show(
        request,
        "contracts/admin/delete.html",
        title=f"Delete version {number}",
        row=contract,
        question=f"Delete version {number} of “{contract.subject}” for good?"
        if for_good
        else f"Delete version {number} of “{contract.subject}”?",
        consequences=_describe_permanent_deletion(version) if for_good else _describe_hiding(version),
        for_good=for_good,
        button="Delete for good" if for_good else "Delete",
        is_dangerous=True,
        back=admin.page_url("version", pk, number),
    )


def _delete_version(version: ContractVersion, request: HttpRequest, *, for_good: bool) -> str:
    number = version.number
    registry.delete_version(version, by=person(request), permanent=for_good)
    return f"Version {number} is deleted{' for good' if for_good else ''}."


def _describe_hiding(version: ContractVersion) -> list[str]:
    return [
        describe_fallback(version),
        "Nothing is compared with it any more, and clients of the registry no longer find it. Its schema can still be "
        "read by its global id.",
        "It cannot be undone; its schema can be made a new version.",
    ]


def _describe_permanent_deletion(version: ContractVersion) -> list[str]:
    return [
        "The version is gone from this page and from the registry; its text stays in the audit log.",
        f"The number {version.number} stays taken.",
    ]


def restore(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Show the changes, and ask for confirmation to create a new version with an older one's schema. A POST does it."""
    contract = admin.get_row_or_404(request, pk, to="change")
    version = get_version_or_404(contract, number)
    if version.schema is None:
        raise Http404
    content = content_of(version.schema)
    active = registry.active_version(contract)
    if active is not None and active.schema_id == version.schema_id:
        admin.message_user(
            request, f"Version {active.number} has this schema already, and is active.", messages.WARNING
        )
        return redirect(admin.page_url("version", pk, number))
    if request.method == "POST":
        return run_step(admin, request, contract, lambda: _restore_version(contract, version, content, person(request)))
    return _show_next(
        admin,
        request,
        version,
        content,
        title=f"Roll back to version {number}",
        question=f"Go back to the schema of version {number} of “{contract.subject}”?",
        refusal=f"“{contract.subject}” cannot go back to version {number}",
        consequences=[f"Version {number} stays unchanged; its schema becomes a new version."],
        what="schema",
        button="Roll back",
        back=admin.page_url("version", pk, number),
    )


@transaction.atomic
def _restore_version(contract: Contract, version: ContractVersion, content: Content, by: Principal) -> str:
    made = registry.register(
        contract.subject,
        content.text,
        by=by,
        references=content.references,
        metadata=content.metadata,
        rule_set=content.rule_set,
    )
    audit.record(by, "roll back", contract, after={"to version": version.number, "as version": made.number})
    return f"Version {made.number} is active, with the schema of version {version.number}."


def activate(admin: AuditedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the changes, and ask for confirmation to activate the draft. A POST does it.

    The form carries the digest of the draft's text: if another text is saved in the meantime, the page asks again. For
    an incompatible draft, the page shows the reason and the way out instead.
    """
    contract = admin.get_row_or_404(request, pk, to="change")
    draft = registry.draft_of(contract)
    if draft is None:
        admin.message_user(request, "There is no draft to activate.", messages.WARNING)
        return redirect(admin.page_url("change", pk))
    if request.method == "POST":
        try:
            return run_step(admin, request, contract, lambda: _activate_draft(draft, request))
        except DraftChanged as changed:
            admin.message_user(request, changed.detail, messages.WARNING)
            return redirect(request.path)
    return _show_next(
        admin,
        request,
        draft,
        None,
        title="Activate",
        question=f"Check events against this draft of “{contract.subject}” from now on?",
        refusal=f"The draft of “{contract.subject}” cannot be activated",
        button="Activate",
        back=admin.page_url("change", pk),
        digest=registry.digest_of(draft),
    )


def _show_next(
    admin: AuditedAdmin, request: HttpRequest, version: ContractVersion, content: Content | None, **page: Any
) -> HttpResponse:
    """Show what changes when a text becomes the next version, and ask for confirmation; or show why it cannot
    (`refusal`).
    """
    contract, active = version.contract, registry.active_version(version.contract)
    uses = extensions.uses_of(contract, validator.parse_schema(version.text))
    judgement = compatibility.check_text(contract, version.text, content)
    page["consequences"] = [
        *page.get("consequences", ()),
        *describe_activation(contract),
        *(use.effect for use in uses),
    ]
    if judgement.is_refused:
        page |= {"question": page["refusal"], "consequences": [], "button": ""}
    return admin.show(
        request,
        "contracts/admin/activate.html",
        row=contract,
        judgement=judgement,
        complaining=[use for use in uses if use.complaints],
        active=active,
        rows=difference(versions.canonical_text_of(active), versions.canonical_text_of(version)),
        **page,
    )


def deprecate(admin: AuditedAdmin, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Ask for confirmation to deprecate a version. A POST does it."""
    contract = admin.get_row_or_404(request, pk, to="change")
    version = get_version_or_404(contract, number)
    if request.method == "POST":
        return run_step(admin, request, contract, lambda: _deprecate_version(version, request))
    return admin.show(
        request,
        "core/admin/confirm.html",
        title=f"Deprecate version {number}",
        row=contract,
        question=f"Deprecate version {number} of “{contract.subject}”?",
        consequences=[
            describe_fallback(version),
            "A deprecated version cannot be made active again; its schema can be, as a new version.",
        ],
        button="Deprecate",
        is_dangerous=True,
        back=admin.page_url("change", pk),
    )


def discard(admin: AuditedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for confirmation to delete the draft. A POST does it."""
    contract = admin.get_row_or_404(request, pk, to="change")
    draft = registry.draft_of(contract)
    if draft is None:
        return redirect(admin.page_url("change", pk))
    if request.method == "POST":
        return run_step(admin, request, contract, lambda: _discard_draft(draft, request))
    return admin.show(
        request,
        "core/admin/confirm.html",
        title="Discard the draft",
        row=contract,
        question=f"Discard the draft of “{contract.subject}”?",
        consequences=["Its text stays in the audit log.", "Events are checked as before."],
        button="Discard",
        is_dangerous=True,
        back=admin.page_url("change", pk),
    )


def describe_fallback(version: ContractVersion) -> str:
    """Return a sentence on the version that events are checked against after this one is removed."""
    contract = version.contract
    active = registry.active_version(contract)
    if active is None or active.pk != version.pk:
        return "Events are checked as before."
    others = registry.numbered_versions(contract).filter(state=version.State.ACTIVE).exclude(pk=version.pk)
    below = others.last()
    return (
        "Events are not checked then." if below is None else f"Events are checked against version {below.number} then."
    )


def run_step(admin: AuditedAdmin, request: HttpRequest, contract: Contract, step: Callable[[], str]) -> HttpResponse:
    """Run an action, report its result, and redirect to the contract.

    Raises:
        DraftChanged: when the draft has changed, so that the page has to ask again.
    """
    try:
        done = step()
    except DraftChanged:
        raise
    except Problem as problem:
        admin.message_user(request, problem.detail, messages.ERROR)
    else:
        admin.message_user(request, done, messages.SUCCESS)
    return redirect(admin.page_url("change", contract.pk))


def _activate_draft(draft: ContractVersion, request: HttpRequest) -> str:
    before = registry.active_version(draft.contract)
    after = registry.activate(draft, by=person(request), shown=request.POST.get("digest", ""))
    if before is not None and after.pk == before.pk:
        return f"The draft said what version {after.number} says; that one stays active."
    return f"Version {after.number} is active: events are checked against it from now on."


def _deprecate_version(version: ContractVersion, request: HttpRequest) -> str:
    registry.deprecate(version, by=person(request))
    return f"Version {version.number} is deprecated."


def _discard_draft(draft: ContractVersion, request: HttpRequest) -> str:
    registry.discard(draft, by=person(request))
    return "The draft is discarded."


def describe_activation(contract: Contract) -> list[str]:
    """Return sentences on the consequences of activating a next version."""
    active = registry.active_version(contract)
    instead = "" if active is None else f" Version {active.number} stays, but events are no longer checked against it."
    return [f"It becomes version {contract.highest + 1} and can no longer be edited.{instead}"]
