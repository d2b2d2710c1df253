"""Making a text a version: it gets the next number and a global id, and is frozen.

A transaction that changes a contract raises the catalog's version first, and so waits for other such transactions: no
number and no id is given twice, on any database.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion
from contracts.registry import references as refs
from contracts.registry.compatibility import refuse_unless_compatible
from contracts.registry.content import Content, Reference
from contracts.registry.drafts import digest_of
from contracts.registry.lookup import State, active_version, find, highest_removed, reread
from contracts.registry.settings import refuse_unless_writable
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.errors.contracts import DraftChanged, WrongState


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
    # Programs ask at each start, so the answer that changes nothing waits for nobody.
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
    # Read anew: a concurrent call that made a version has raised it.
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
