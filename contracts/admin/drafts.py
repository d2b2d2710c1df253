"""A contract's draft: what stands in it, saving it, discarding it. Both leave an audit entry."""

from hashlib import sha256

from django.db import transaction

from contracts import registry, schemas
from contracts.models import Contract, ContractVersion
from core import audit
from core.principal import Principal


def draft_of(contract: Contract) -> ContractVersion | None:
    """Return the contract's draft, if it has one."""
    return contract.versions.filter(state=ContractVersion.State.DRAFT).first()


def standing_text(contract: Contract) -> str:
    """Return what a person edits: the draft's text, else that of the active version, else nothing."""
    version = draft_of(contract) or registry.active_version(contract)
    return "" if version is None else version.text


@transaction.atomic
def save(contract: Contract, text: str, *, by: Principal) -> ContractVersion | None:
    """Make the text the contract's draft. Return None when it says what stands already and there is no draft.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    before = standing_text(contract)
    if text == before:
        return draft_of(contract)
    saved = registry.draft(contract.subject, text, by=by)
    audit.record(by, "draft", contract, before={"schema": before} if before else None, after={"schema": text})
    return saved


@transaction.atomic
def discard(draft: ContractVersion, *, by: Principal) -> None:
    """Delete a draft."""
    audit.record(by, "discard draft", draft.contract, before={"schema": draft.draft_text})
    draft.delete()


def digest(draft: ContractVersion) -> str:
    """Return what tells a draft's text from every other."""
    return sha256(draft.draft_text.encode()).hexdigest()


def readable(version: ContractVersion | None) -> str:
    """Return a version's schema laid out evenly, so that only what it says makes a difference; "" for none."""
    return "" if version is None else schemas.canonical_text(schemas.parse(version.text))
