"""Drafts of a contract's next version, activation of versions, and bulk creation of contracts.

A draft has no number and can be overwritten. A version gets the next number and a global id, and is frozen. A
transaction that changes a contract raises the catalog's version first, which serialises such transactions: no number
and no id is assigned twice, on any database. Creation is done in bulk, because a catalog file may have thousands of
contracts.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.compatibility import refuse_unless_compatible
from contracts.registry.content import Content, Reference, store_contents
from contracts.registry.lookup import State, active_version, find_equivalent, highest_removed, reload_version
from contracts.registry.settings import of_all, refuse_unless_writable
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.compatibility import Mode, find_obstacle
from synapse.errors.contracts import BadSchema, DraftChanged, DraftExists, WrongState


@transaction.atomic
def create_contracts(new: Iterable[tuple[Contract, Content | None]], *, by: Principal) -> None:
    """Save new contracts, each with a first version if it has content. Contents must be checked already, and have no
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
            reason = find_obstacle(content.document, {})
            if reason is not None:
                raise BadSchema(
                    f"No later version could be compared with the schema of “{contract.subject}”, because {reason}."
                )
        contract.highest = removed.get(contract.subject, 0) + 1
    Contract.objects.bulk_create([contract for contract, _ in pairs])
    audit.record_all(by, "create", [(contract, None, audit.describe(contract)) for contract, _ in pairs])
    schemas = store_contents(content for _, content in pairs if content is not None)
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

    No event is checked against a draft. Without `references`, it gets those of the draft that it replaces, otherwise
    those of the active version. An equal draft stays unchanged.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
        DraftExists: when there is a draft with another text and `replace` is False.
    """
    catalog_version.bump()
    owner = Contract.objects.filter(subject=subject).first()
    content = check_draft(owner, text, references)
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


def check_draft(owner: Contract | None, text: str, references: Sequence[Reference] | None = None) -> Content:
    """Check a text as the contract's draft and return its content. For `references` see `draft`.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    content = content_of_text(owner, text, references)
    refs.check_content(content)
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
    """Delete a draft. Its text stays in the audit log.

    Raises:
        UnknownVersion: when the draft no longer exists.
        WrongState: when the version is not a draft.
    """
    catalog_version.bump()
    reload_version(draft)
    if draft.state != State.DRAFT:
        raise WrongState(f"{draft} is {draft.state}; only a draft can be discarded.")
    audit.record(by, "discard draft", draft.contract, before={"schema": draft.draft_text})
    draft.delete()


@transaction.atomic
def activate(version: ContractVersion, *, by: Principal, shown: str | None = None) -> ContractVersion:
    """Make a draft the active version, with a number and a schema: events are checked against it from now on.

    A draft with the content of the active version is deleted, and the active version returned. `shown` is the digest
    (`digest_of`) of the draft that the person confirmed: another one is not activated.

    Raises:
        BadSchema: when the draft cannot be a contract's schema.
        DraftChanged: when the draft is not the one with the digest `shown`.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
        UnknownVersion: when the draft no longer exists.
        WrongState: when the version is not a draft.
    """
    catalog_version.bump()
    reload_version(version)
    if version.state != State.DRAFT:
        raise WrongState(f"{version} is {version.state}; only a draft can be activated.")
    if shown is not None and digest_of(version) != shown:
        raise DraftChanged("The draft was changed meanwhile. Look at it again.")
    content = Content(
        text=version.draft_text, references=[Reference(**reference) for reference in version.draft_references]
    )
    refs.check_content(content)
    owner = version.contract
    refuse_unless_writable(owner, owner.subject)
    before = active_version(owner)
    if _has_content(before, content):
        version.delete()
        return before  # type: ignore[return-value]  # _has_content is False for None
    return _number_version(version, content, before, by=by)


@transaction.atomic
def register(
    subject: str,
    text: str,
    *,
    by: Principal,
    references: Sequence[Reference] = (),
    metadata: Mapping[str, Any] | None = None,
    rule_set: Mapping[str, Any] | None = None,
) -> ContractVersion:
    """Make a text the active version of a contract. A missing contract is created; a draft stays unchanged.

    If the active version has this content already, no version is added.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
    """
    content = Content(text=text, references=references, metadata=metadata, rule_set=rule_set)
    refs.check_content(content)
    catalog_version.bump()
    return _register(subject, content, by=by)


def find_or_register(subject: str, content: Content, *, by: Principal) -> ContractVersion:
    """Return the contract's version with equivalent content, after registering it if there is none.

    Registries call this “register”: a repeated call returns the existing version.

    Raises:
        BadSchema: when the content cannot be a contract's schema.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
    """
    # Programs call this at each start, so the common case, which changes nothing, takes no lock.
    if found := _find_equivalent(subject, content):
        return found
    refs.check_content(content)
    with transaction.atomic():
        catalog_version.bump()
        return _find_equivalent(subject, content) or _register(subject, content, by=by)


@transaction.atomic
def deprecate(version: ContractVersion, *, by: Principal) -> None:
    """Stop checking events against a version. The next lower active one, if any, takes its place.

    Raises:
        ReadOnly: when the contract may not be changed.
        UnknownVersion: when the version no longer exists.
        WrongState: when the version is not active.
    """
    catalog_version.bump()
    reload_version(version)
    if version.state != State.ACTIVE or version.deleted_at is not None:
        state = version.state if version.deleted_at is None else "deleted"
        raise WrongState(f"{version} is {state}; only an active version can be deprecated.")
    refuse_unless_writable(version.contract, version.contract.subject)
    version.state = State.DEPRECATED
    version.deprecated_at = timezone.now()
    version.deprecated_by = str(by)
    version.save()
    audit.record(by, "deprecate", version, before={"state": State.ACTIVE}, after={"state": State.DEPRECATED})


def _find_equivalent(subject: str, content: Content) -> ContractVersion | None:
    owner = Contract.objects.filter(subject=subject).first()
    return None if owner is None else find_equivalent(owner, content)


def _register(subject: str, content: Content, *, by: Principal) -> ContractVersion:
    owner = Contract.objects.filter(subject=subject).first()
    refuse_unless_writable(owner, subject)
    owner = owner or Contract.objects.create(subject=subject)
    before = active_version(owner)
    if _has_content(before, content):
        return before  # type: ignore[return-value]  # _has_content is False for None
    return _number_version(ContractVersion(contract=owner, author=str(by)), content, before, by=by)


def _has_content(version: ContractVersion | None, content: Content) -> bool:
    return version is not None and version.schema is not None and version.schema.digest == content.digest


def _number_version(
    version: ContractVersion, content: Content, before: ContractVersion | None, *, by: Principal
) -> ContractVersion:
    owner = version.contract
    refuse_unless_compatible(owner, content)
    schema = content.store()
    refs.record_references(schema, content.references)
    # Reloaded, because a concurrent registration may have raised it.
    owner.refresh_from_db(fields=["highest"])
    owner.highest = (owner.highest or highest_removed([owner.subject]).get(owner.subject, 0)) + 1
    owner.save(update_fields=["highest"])
    version.number = owner.highest
    version.state = State.ACTIVE
    version.schema = schema
    version.draft_text = ""
    version.draft_references = []
    version.activated_at = timezone.now()
    version.activated_by = str(by)
    version.save()
    audit.record(
        by,
        "activate",
        owner,
        before=before and {"version": before.number, "schema": before.schema_id},
        after={"version": version.number, "schema": schema.pk},
    )
    return version
