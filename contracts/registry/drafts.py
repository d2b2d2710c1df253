"""Write drafts of a contract's next version, and create many contracts in few statements.

A draft has no number and can be overwritten. A catalog file may bring thousands of contracts.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.content import Content, Reference, kept_all
from contracts.registry.lookup import State, active_version, highest_removed, reread
from contracts.registry.settings import of_all, refuse_unless_writable
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.compatibility import Mode, obstacle
from synapse.errors.contracts import BadSchema, DraftExists, WrongState


@transaction.atomic
def create_contracts(new: Iterable[tuple[Contract, Content | None]], *, by: Principal) -> None:
    """Save new contracts, each with a first version if it has a content. Contents must be checked, and have no
    references.

    Raises:
        BadSchema: when a schema could not be compared with later versions.
        ReadOnly: when contracts may not be changed.
    """
    catalog_version.bump()
    pairs = list(new)
    everywhere = of_all()
    removed = highest_removed(contract.subject for contract, _ in pairs)
    for contract, content in pairs:
        if content is None:
            continue
        refuse_unless_writable(None, contract.subject, everywhere)
        if (contract.compatibility or everywhere.compatibility) != Mode.NONE:
            reason = obstacle(content.document, {})
            if reason is not None:
                raise BadSchema(
                    f"No later version could be compared with the schema of “{contract.subject}”, because {reason}."
                )
        contract.highest = removed.get(contract.subject, 0) + 1
    Contract.objects.bulk_create([contract for contract, _ in pairs])
    audit.record_all(by, "create", [(contract, None, audit.describe(contract)) for contract, _ in pairs])
    schemas = kept_all(content for _, content in pairs if content is not None)
    now = timezone.now()
    versions = ContractVersion.objects.bulk_create(
        ContractVersion(
            contract=contract,
            number=contract.highest,
            state=ContractVersion.State.ACTIVE,
            schema=schemas[content.digest],
            author=str(by),
            activated_at=now,
            activated_by=str(by),
        )
        for contract, content in pairs
        if content is not None
    )
    audit.record_all(
        by,
        "activate",
        [(version.contract, None, {"version": version.number, "schema": version.schema_id}) for version in versions],
    )


@transaction.atomic
def draft(
    subject: str,
    text: str,
    *,
    by: Principal,
    references: Sequence[Reference] | None = None,
    replace: bool = True,
) -> ContractVersion:
    """Create the contract's draft, or with `replace` overwrite it. A missing contract is created too.

    No event is checked against a draft. Without `references`, it has those of the draft that it replaces, else those of
    the active version. An equal draft stays unchanged.

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
    """Return the content of a text as the contract's draft; for `references` see `draft`.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    content = content_of_text(owner, text, references)
    refs.check(content)
    return content


def content_of_text(owner: Contract | None, text: str, references: Sequence[Reference] | None = None) -> Content:
    """Return the content of a text as the contract's draft, without checking the schema."""
    if references is None:
        standing = None if owner is None else draft_of(owner) or active_version(owner)
        references = [] if standing is None else [Reference(**reference) for reference in standing.references]
    return Content(text=text, references=references)


def draft_of(owner: Contract) -> ContractVersion | None:
    """Return the contract's draft, if it has one."""
    return owner.versions.filter(state=State.DRAFT).first()


def digest_of(draft: ContractVersion) -> str:
    """Return the digest of a draft's text."""
    return sha256(draft.draft_text.encode()).hexdigest()


@transaction.atomic
def discard(draft: ContractVersion, *, by: Principal) -> None:
    """Delete a draft; its text stays in the audit log.

    Raises:
        UnknownVersion: when there is no such draft any more.
        WrongState: when it is no draft any more.
    """
    catalog_version.bump()
    reread(draft)
    if draft.state != State.DRAFT:
        raise WrongState(f"{draft} is {draft.state}; only a draft can be discarded.")
    audit.record(by, "discard draft", draft.contract, before={"schema": draft.draft_text})
    draft.delete()
