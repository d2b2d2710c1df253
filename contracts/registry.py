"""What can be done with contracts: look one up, draft, activate, deprecate. Every change is audited."""

import hashlib

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from contracts import schemas
from contracts.errors import UnknownContract, UnknownVersion, WrongState
from contracts.models import Contract, ContractVersion, Schema
from core import audit
from core.principal import Principal

State = ContractVersion.State


def contract(subject: str) -> Contract:
    """Return the contract with this subject.

    Raises:
        UnknownContract: when there is none.
    """
    found = Contract.objects.filter(subject=subject).first()
    if found is None:
        raise UnknownContract(f"No contract has the subject “{subject}”.")
    return found


def active_version(of: Contract) -> ContractVersion | None:
    """Return the version that events are checked against: the highest active one."""
    return of.versions.filter(state=State.ACTIVE).select_related("schema").order_by("-number").first()


def version(of: Contract, number: int) -> ContractVersion:
    """Return one numbered version.

    Raises:
        UnknownVersion: when the contract has none with this number.
    """
    found = of.versions.filter(number=number).select_related("schema").first()
    if found is None:
        raise UnknownVersion(f"The contract “{of.subject}” has no version {number}.")
    return found


@transaction.atomic
def draft(subject: str, text: str, *, by: Principal) -> ContractVersion:
    """Make the contract's draft, or replace the one it has. Nothing is checked against a draft.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    schemas.compile_schema(schemas.parse(text))
    owner, _ = Contract.objects.get_or_create(subject=subject)
    found = owner.versions.filter(state=State.DRAFT).first() or ContractVersion(contract=owner)
    found.draft_text = text
    found.author = str(by)
    found.save()
    return found


@transaction.atomic
def activate(version: ContractVersion, *, by: Principal) -> ContractVersion:
    """Give a draft its number and its schema, and check events against it from now on.

    A draft whose text is that of the active version adds no version: the draft goes and the active one is returned.

    Raises:
        BadSchema: when the draft's text cannot be a contract's schema.
        WrongState: when the version is no draft.
    """
    owner = _locked(version.contract_id)
    version.refresh_from_db()
    if version.state != State.DRAFT:
        raise WrongState(f"{version} is {version.state}; only a draft can be activated.")
    kept = keep(version.draft_text)
    before = active_version(owner)
    if before is not None and before.schema_id == kept.pk:
        version.delete()
        return before
    return _number(version, kept, before, by=by)


@transaction.atomic
def register(subject: str, text: str, *, by: Principal) -> ContractVersion:
    """Make a text the active version of a contract, which is made when there is none; a draft stays as it is.

    The text that is active already adds no version.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    kept = keep(text)
    owner = _locked(Contract.objects.get_or_create(subject=subject)[0].pk)
    before = active_version(owner)
    if before is not None and before.schema_id == kept.pk:
        return before
    return _number(ContractVersion(contract=owner, author=str(by)), kept, before, by=by)


def _locked(pk: int) -> Contract:
    """Return the contract, and make whoever else gives it a version wait: no number is given twice."""
    return Contract.objects.select_for_update().get(pk=pk)


def _number(
    version: ContractVersion, schema: Schema, before: ContractVersion | None, *, by: Principal
) -> ContractVersion:
    owner = version.contract
    version.number = (owner.versions.aggregate(highest=Max("number"))["highest"] or 0) + 1
    version.state = State.ACTIVE
    version.schema = schema
    version.draft_text = ""
    version.activated_at = timezone.now()
    version.save()
    audit.record(
        by,
        "activate",
        owner,
        before=before and {"version": before.number, "schema": before.schema_id},
        after={"version": version.number, "schema": schema.pk},
    )
    return version


@transaction.atomic
def deprecate(version: ContractVersion, *, by: Principal) -> None:
    """Stop checking events against a version; the next lower active one, if any, takes its place.

    Raises:
        WrongState: when the version is not active.
    """
    _locked(version.contract_id)
    version.refresh_from_db()
    if version.state != State.ACTIVE:
        raise WrongState(f"{version} is {version.state}; only an active version can be deprecated.")
    version.state = State.DEPRECATED
    version.save()
    audit.record(by, "deprecate", version, before={"state": State.ACTIVE}, after={"state": State.DEPRECATED})


def keep(text: str) -> Schema:
    """Return the schema with exactly this text, made when there is none.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    schemas.compile_schema(schemas.parse(text))
    digest = hashlib.sha256(text.encode()).hexdigest()
    found, _ = Schema.objects.get_or_create(digest=digest, defaults={"text": text})
    return found
