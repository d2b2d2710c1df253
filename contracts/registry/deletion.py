"""Deletion of versions: first they are hidden, then they can be deleted for good. Their numbers are never reused.

A hidden version is in no list, and nothing is checked against it. Its schema can still be read by its global id, so
that existing events stay readable.
"""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from contracts.models import Contract, ContractVersion, RemovedContract, SchemaReference
from contracts.registry import lookup, settings
from contracts.registry import references as refs
from contracts.registry.lookup import State, numbered_versions, reload_version
from contracts.registry.references import marks_of
from core import audit, catalog_version
from synapse.auth.permission import demand_scope
from synapse.auth.principal import PERSONAL, Principal
from synapse.errors.contracts import AlreadyDeleted, NotDeletedYet, Referenced, UnknownContract, WrongState


@transaction.atomic
def delete_version(version: ContractVersion, *, by: Principal, permanent: bool = False) -> None:
    """Hide a version, or delete a hidden one for good.

    Raises:
        ReadOnly: when the contract may not be changed.
        Referenced: when a schema refers to the version.
        InUse: when the version is the last active one of a contract that an event type uses.
        AlreadyDeleted: when the version is hidden already. NotDeletedYet: with `permanent`, when it is not.
        Forbidden: with `permanent`, when PII would be unmasked and the caller may not see PII.
        UnknownVersion: when the version no longer exists.
    """
    catalog_version.bump()
    reload_version(version)
    settings.refuse_unless_writable(version.contract, version.contract.subject)
    if not permanent:
        _refuse_to_end_checks(version.contract, [version])
    _delete_version(version, by=by, permanent=permanent)


@transaction.atomic
def delete_contract(of: Contract, *, by: Principal, permanent: bool = False) -> list[int]:
    """Hide all versions of a contract, or with `permanent` delete them for good. Return their numbers.

    Raises:
        ReadOnly: when the contract may not be changed.
        Referenced: when a schema of another contract refers to one.
        InUse: when an event type uses the contract, whose events would then not be checked any more.
        UnknownContract: when there are none to delete.
        AlreadyDeleted, NotDeletedYet: when they are all hidden already, or (permanent) not all of them are yet.
        Forbidden: with `permanent`, when PII would be unmasked and the caller may not see PII.
    """
    catalog_version.bump()
    of.refresh_from_db()
    settings.refuse_unless_writable(of, of.subject)
    every = list(numbered_versions(of, deleted=True))
    if not every:
        raise UnknownContract(f"The contract “{of.subject}” has no versions.")
    there = [version for version in every if version.deleted_at is None]
    if permanent and there:
        raise NotDeletedYet(f"The contract “{of.subject}” is not deleted yet; delete it first, then for good.")
    if not permanent and not there:
        raise AlreadyDeleted(f"The contract “{of.subject}” is deleted already; it can be deleted for good.")
    chosen = every if permanent else there
    if not permanent:
        _refuse_to_end_checks(of, chosen)
    # Newest first, because a version may refer to an earlier one of its own contract.
    for version in reversed(chosen):
        _delete_version(version, by=by, permanent=permanent)
    if permanent:
        # If the subject is registered again, it starts with the general settings.
        settings.change(of, by=by, compatibility="", policy="", extras={})
        settings.change(of, by=by, mode="")
    return [version.number for version in chosen if version.number is not None]


@transaction.atomic
def remove_contract(of: Contract, *, by: Principal) -> None:
    """Delete an unused contract with all versions, hidden or not. Its version numbers are never reused.

    Raises:
        ReadOnly: when the contract may not be changed.
        Referenced: when a schema of another contract refers to a version.
        InUse: when an event type uses the contract.
        Forbidden: when PII would be unmasked and the caller may not see PII.
    """
    catalog_version.bump()
    of.refresh_from_db()
    refuse_to_remove(of, by=by)
    versions = list(numbered_versions(of, deleted=True))
    for version in reversed(versions):
        SchemaReference.objects.filter(version=version).delete()
        version.delete()
    RemovedContract.objects.update_or_create(subject=of.subject, defaults={"highest": of.highest})
    audit.record(
        by,
        "delete",
        of,
        before={**audit.describe(of), "versions": {str(version.number): version.schema_id for version in versions}},
    )
    of.delete()


def refuse_to_remove(of: Contract, *, by: Principal) -> None:
    """Raise unless a contract can be deleted with its versions.

    Raises:
        ReadOnly, Referenced, InUse, Forbidden: see `remove_contract`.
    """
    settings.refuse_unless_writable(of, of.subject)
    lookup.refuse_if_used(of, "it cannot be deleted")
    for version in numbered_versions(of, deleted=True):
        _refuse_if_referenced(version, deleted=True, by_own=False)
        _demand_right_to_unmask(version, by)


def _refuse_to_end_checks(of: Contract, versions: Sequence[ContractVersion]) -> None:
    active = set(numbered_versions(of).filter(state=State.ACTIVE).values_list("pk", flat=True))
    if active and active <= {version.pk for version in versions}:
        lookup.refuse_if_used(of, "without an active version, their events would not be checked any more")


def _delete_version(version: ContractVersion, *, by: Principal, permanent: bool) -> None:
    if version.number is None:
        raise WrongState(f"{version} is a draft; a draft is discarded.")
    if not permanent and version.deleted_at is not None:
        raise AlreadyDeleted(f"{version} is deleted already; it can be deleted for good.")
    if permanent and version.deleted_at is None:
        raise NotDeletedYet(f"{version} is not deleted yet; delete it first, then for good.")
    _refuse_if_referenced(version, deleted=permanent)
    if not permanent:
        version.deleted_at = timezone.now()
        version.deleted_by = str(by)
        version.save()
        audit.record(by, "delete", version, before={"state": version.state, "schema": version.schema_id})
        return
    _demand_right_to_unmask(version, by)
    # The remaining references are from schemas that no longer belong to a contract.
    SchemaReference.objects.filter(version=version).delete()
    audit.record(by, "delete for good", version, before={"schema": version.schema_id, "text": version.text})
    version.delete()


def _demand_right_to_unmask(version: ContractVersion, by: Principal) -> None:
    if version.schema is not None and marks_of(version.schema) is not None:
        # The PII marks are deleted with the version, so nothing masks the marked values any more.
        demand_scope(by, PERSONAL)


def _refuse_if_referenced(version: ContractVersion, *, deleted: bool, by_own: bool = True) -> None:
    """Raise if a schema refers to a version. `by_own`: schemas of the same contract count, too."""
    users = refs.referring_schemas(version, deleted=deleted)
    versions = ContractVersion.objects.filter(schema__in=users)
    if not by_own:
        versions = versions.exclude(contract=version.contract)
    subjects = list(versions.order_by("contract__subject").values_list("contract__subject", flat=True).distinct()[:5])
    if subjects:
        named = ", ".join(f"“{subject}”" for subject in subjects)
        raise Referenced(f"{version} cannot be deleted: schemas of {named} refer to it.")
