"""The next version's text, before it is one: a draft has no number and can be written again."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.content import Content, Reference
from contracts.registry.lookup import State, active_version
from core import audit, catalog_version
from core.principal import Principal


@transaction.atomic
def draft(subject: str, text: str, *, by: Principal, references: Sequence[Reference] | None = None) -> ContractVersion:
    """Make the contract's draft, or replace the one it has. Nothing is checked against a draft.

    Without `references`, it refers to what the draft it replaces refers to, else to what the active version does.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    owner = Contract.objects.filter(subject=subject).first()
    content = written(owner, text, references)
    catalog_version.bump()
    owner = owner or Contract.objects.get_or_create(subject=subject)[0]
    found = draft_of(owner) or ContractVersion(contract=owner)
    found.draft_text = text
    found.draft_references = content.reference_list
    found.author = str(by)
    found.created_at = timezone.now()
    found.save()
    return found


def written(owner: Contract | None, text: str, references: Sequence[Reference] | None = None) -> Content:
    """Return what a text would be as the contract's draft; for `references` see `draft`.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    if references is None:
        standing = None if owner is None else draft_of(owner) or active_version(owner)
        references = [] if standing is None else [Reference(**reference) for reference in standing.references]
    content = Content(text=text, references=references)
    refs.checked(content)
    return content


def draft_of(owner: Contract) -> ContractVersion | None:
    """Return the contract's draft, if it has one."""
    return owner.versions.filter(state=State.DRAFT).first()


@transaction.atomic
def discard(draft: ContractVersion, *, by: Principal) -> None:
    """Delete a draft; its text stays in the record."""
    catalog_version.bump()
    audit.record(by, "discard draft", draft.contract, before={"schema": draft.draft_text})
    draft.delete()
