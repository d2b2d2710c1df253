"""Rolling back: what an older version says becomes the newest version. Numbers only ever rise."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from contracts import registry
from contracts.admin import compatibility_check, drafts, usage
from contracts.admin.version_actions import of_next, take
from contracts.admin.versions import numbered
from contracts.models import Contract, ContractVersion
from contracts.registry.content import Content, content_of
from core import audit
from core.admin.base import person
from core.admin.text_diff import difference
from synapse.auth.principal import Principal
from synapse.schema import validator


def restore(admin: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Ask whether the schema of an older version is to be the newest version, showing what it changes; then do it."""
    contract = admin.found(request, pk, to="change")
    version = numbered(contract, number)
    content = _content(version)
    active = registry.active_version(contract)
    if active is not None and active.schema_id == version.schema_id:
        admin.message_user(request, f"Version {active.number} says that already, and is active.", messages.WARNING)
        return redirect(admin.page_url("version", pk, number))
    if request.method == "POST":
        return take(admin, request, contract, lambda: _restored(contract, version, content, person(request)))
    judgement = compatibility_check.judge(contract, version.text, content)
    users = usage.of(contract, validator.parse(version.text))
    if judgement.is_refused:
        question, consequences = f"“{contract.subject}” cannot go back to version {number}", []
    else:
        question = f"Go back to the schema of version {number} of “{contract.subject}”?"
        consequences = [
            f"Version {number} stays as it is; its schema becomes a new version.",
            *of_next(contract),
            *(use.effect for use in users),
        ]
    page: HttpResponse = admin.show(
        request,
        "contracts/admin/activate.html",
        title=f"Roll back to version {number}",
        row=contract,
        question=question,
        consequences=consequences,
        judgement=judgement,
        what="schema",
        button="" if judgement.is_refused else "Roll back",
        back=admin.page_url("version", pk, number),
        complaining=[use for use in users if use.complaints],
        active=active,
        rows=difference(drafts.readable(active), drafts.readable(version)),
    )
    return page


@transaction.atomic
def _restored(contract: Contract, version: ContractVersion, content: Content, by: Principal) -> str:
    made = registry.register(
        contract.subject,
        content.text,
        by=by,
        references=content.references,
        metadata=content.metadata,
        rule_set=content.rule_set,
    )
    audit.record(by, "roll back", contract, after={"to version": version.number, "as version": made.number})
    return f"Version {made.number} is active: it says what version {version.number} says."


def _content(version: ContractVersion) -> Content:
    if version.schema is None:
        raise Http404
    return content_of(version.schema)
