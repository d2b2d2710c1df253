"""Write drafts of a contract's next version, make a text a version, and create many contracts in few statements.

A draft has no number and can be overwritten. A version gets the next number and a global id, and is frozen. A
transaction that changes a contract raises the catalog's version first, and so waits for other such transactions: no
number and no id is given twice, on any database. A catalog file may bring thousands of contracts.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.compatibility import refuse_unless_compatible
from contracts.registry.content import Content, Reference, kept_all
from contracts.registry.lookup import State, active_version, find, highest_removed, reread
from contracts.registry.settings import of_all, refuse_unless_writable
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.compatibility import Mode, find_obstacle
from synapse.errors.contracts import BadSchema, DraftChanged, DraftExists, WrongState


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
            reason = find_obstacle(content.document, {})
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


@transaction.atomic
def activate(version: ContractVersion, *, by: Principal, shown: str | None = None) -> ContractVersion:
    """Give a draft its number and its schema, and check events against it from now on.

    A draft that says what the active version says adds no version: the draft goes and the active one is returned.
    `shown` is the digest (see `drafting.digest_of`) of the draft that somebody agreed to: no other is activated.

    Raises:
        BadSchema: when the draft cannot be a contract's schema.
        DraftChanged: when it is not the one that was shown.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
        UnknownVersion: when the draft is gone.
        WrongState: when the version is no draft.
    """
    catalog_version.bump()
    reread(version)
    if version.state != State.DRAFT:
        raise WrongState(f"{version} is {version.state}; only a draft can be activated.")
    if shown is not None and digest_of(version) != shown:
        raise DraftChanged("The draft was changed meanwhile. Look at it again.")
    content = Content(
        text=version.draft_text, references=[Reference(**reference) for reference in version.draft_references]
    )
    refs.check(content)
    owner = version.contract
    refuse_unless_writable(owner, owner.subject)
    before = active_version(owner)
    if _is(before, content):
        version.delete()
        return before  # type: ignore[return-value]  # not None: it is the content
    return _numbered(version, content, before, by=by)


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

    A text that is active already adds no version.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
    """
    content = Content(text=text, references=references, metadata=metadata, rule_set=rule_set)
    refs.check(content)
    catalog_version.bump()
    return _registered(subject, content, by=by)


def ensure(subject: str, content: Content, *, by: Principal) -> ContractVersion:
    """Return the version of a contract that says what the content says, registered when there is none.

    This is what registries mean by registering: a repeated call gets the version that is there.

    Raises:
        BadSchema: when the content cannot be a contract's schema.
        Incompatible: when it would break what the contract's compatibility protects.
        ReadOnly: when the contract may not be changed.
    """
    # Programs ask at each start, so the answer that changes nothing takes no lock.
    if found := _found(subject, content):
        return found
    refs.check(content)
    with transaction.atomic():
        catalog_version.bump()
        return _found(subject, content) or _registered(subject, content, by=by)


@transaction.atomic
def deprecate(version: ContractVersion, *, by: Principal) -> None:
    """Stop checking events against a version; the next lower active one, if any, takes its place.

    Raises:
        ReadOnly: when the contract may not be changed.
        UnknownVersion: when the version is gone.
        WrongState: when the version is not active.
    """
    catalog_version.bump()
    reread(version)
    if version.state != State.ACTIVE or version.deleted_at is not None:
        state = version.state if version.deleted_at is None else "deleted"
        raise WrongState(f"{version} is {state}; only an active version can be deprecated.")
    refuse_unless_writable(version.contract, version.contract.subject)
    version.state = State.DEPRECATED
    version.deprecated_at = timezone.now()
    version.deprecated_by = str(by)
    version.save()
    audit.record(by, "deprecate", version, before={"state": State.ACTIVE}, after={"state": State.DEPRECATED})


def _found(subject: str, content: Content) -> ContractVersion | None:
    owner = Contract.objects.filter(subject=subject).first()
    return None if owner is None else find(owner, content)


def _registered(subject: str, content: Content, *, by: Principal) -> ContractVersion:
    owner = Contract.objects.filter(subject=subject).first()
    refuse_unless_writable(owner, subject)
    owner = owner or Contract.objects.create(subject=subject)
    before = active_version(owner)
    if _is(before, content):
        return before  # type: ignore[return-value]  # not None: it is the content
    return _numbered(ContractVersion(contract=owner, author=str(by)), content, before, by=by)


def _is(version: ContractVersion | None, content: Content) -> bool:
    return version is not None and version.schema is not None and version.schema.digest == content.digest


def _numbered(
    version: ContractVersion, content: Content, before: ContractVersion | None, *, by: Principal
) -> ContractVersion:
    owner = version.contract
    refuse_unless_compatible(owner, content)
    schema = content.kept()
    refs.link(schema, content.references)
    # Read again: a concurrent call that made a version has raised it.
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
