"""The next version's text, before it is one: a draft has no number and can be written again."""

from collections.abc import Sequence
from hashlib import sha256

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.content import Content, Reference
from contracts.registry.lookup import State, active_version, reread
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.errors.contracts import DraftExists, WrongState


@transaction.atomic
def draft(
    subject: str,
    text: str,
    *,
    by: Principal,
    references: Sequence[Reference] | None = None,
    replace: bool = True,
) -> ContractVersion:
    """Make the contract's draft, or (`replace`) change the one it has; the contract is made when there is none.

    Nothing is checked against a draft. Without `references`, it refers to what the draft it replaces refers to, else
    to what the active version does. A draft that says so already stays as it is.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
        DraftExists: when there is a draft with another text, and it is not to be replaced.
    """
    catalog_version.bump()
    owner = Contract.objects.filter(subject=subject).first()
    content = written(owner, text, references)
    owner = owner or Contract.objects.create(subject=subject)
    standing = draft_of(owner)
    if standing is not None and not replace and standing.draft_text != text:
        raise DraftExists(f"“{subject}” has a draft of another text, by {standing.author or 'somebody'}.")
    if standing is not None and (standing.draft_text, standing.draft_references) == (text, content.reference_list):
        return standing
    before = standing or active_version(owner)
    before_text = None if before is None else before.text
    found = standing or ContractVersion(contract=owner)
    found.draft_text = text
    found.draft_references = content.reference_list
    found.author = str(by)
    found.created_at = timezone.now()
    found.save()
    audit.record(by, "draft", owner, before=before_text and {"schema": before_text}, after={"schema": text})
    return found


def written(owner: Contract | None, text: str, references: Sequence[Reference] | None = None) -> Content:
    """Return what a text would be as the contract's draft; for `references` see `draft`.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    content = content_of_text(owner, text, references)
    refs.check(content)
    return content


def content_of_text(owner: Contract | None, text: str, references: Sequence[Reference] | None = None) -> Content:
    """Return the same without looking whether it can be a contract's schema."""
    if references is None:
        standing = None if owner is None else draft_of(owner) or active_version(owner)
        references = [] if standing is None else [Reference(**reference) for reference in standing.references]
    return Content(text=text, references=references)


def draft_of(owner: Contract) -> ContractVersion | None:
    """Return the contract's draft, if it has one."""
    return owner.versions.filter(state=State.DRAFT).first()


def digest_of(draft: ContractVersion) -> str:
    """Return what tells a draft's text from every other."""
    return sha256(draft.draft_text.encode()).hexdigest()


@transaction.atomic
def discard(draft: ContractVersion, *, by: Principal) -> None:
    """Delete a draft; its text stays in the record.

    Raises:
        UnknownVersion: when it is gone.
        WrongState: when it is no draft any more.
    """
    catalog_version.bump()
    reread(draft)
    if draft.state != State.DRAFT:
        raise WrongState(f"{draft} is {draft.state}; only a draft can be discarded.")
    audit.record(by, "discard draft", draft.contract, before={"schema": draft.draft_text})
    draft.delete()
