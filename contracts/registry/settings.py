"""Compatibility, policy and mode: of all contracts, and of those that say otherwise."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from contracts.models import Contract, Mode, RegistrySettings
from core import audit, catalog_version
from synapse.auth.principal import Principal
from synapse.compatibility import Mode as CompatibilityMode
from synapse.compatibility import Policy as CompatibilityPolicy
from synapse.errors.contracts import ReadOnly

_ROW = 1


def of_all() -> RegistrySettings:
    """Return what holds for every contract that does not say otherwise: the defaults until they are changed."""
    return RegistrySettings.objects.filter(pk=_ROW).first() or RegistrySettings(pk=_ROW)


def rules(of: Contract) -> tuple[CompatibilityMode, CompatibilityPolicy]:
    """Return the compatibility mode and the policy that hold for a contract."""
    everywhere = of_all()
    return (
        CompatibilityMode(of.compatibility or everywhere.compatibility),
        CompatibilityPolicy(of.policy or everywhere.policy),
    )


def mode_of(of: Contract | None, everywhere: RegistrySettings | None = None) -> str:
    """Return what may be done with a contract (None: with one that is not there yet)."""
    everywhere = everywhere or of_all()
    if everywhere.mode == Mode.READONLY_OVERRIDE or of is None or not of.mode:
        return everywhere.mode
    return of.mode


def normalizes(subject: str) -> bool:
    """Say whether schemas of a subject are kept without layout, where a request does not say."""
    owner = Contract.objects.filter(subject=subject).only("extras").first()
    own = None if owner is None else owner.extras.get("normalize")
    return bool(of_all().extras.get("normalize") if own is None else own)


def refuse_unless_writable(of: Contract | None, subject: str, everywhere: RegistrySettings | None = None) -> None:
    """Do nothing when the contract may be changed.

    Raises:
        ReadOnly: when it may not.
    """
    mode = mode_of(of, everywhere)
    if mode != Mode.READWRITE:
        raise ReadOnly(f"The contract “{subject}” is in mode {mode}: it can be read and not changed.")


@transaction.atomic
def change(
    of: Contract | None, *, by: Principal, more: Mapping[str, Any] | None = None, **values: Any
) -> Contract | RegistrySettings:
    """Set compatibility, policy, mode or extras of a contract, or (None) of all; an empty value of a contract takes it
    back. `more` are extras that join those which are there.

    Raises:
        ReadOnly: when something beside the mode is set, and the mode forbids it.
    """
    catalog_version.bump()
    changed = of_all() if of is None else Contract.objects.get(pk=of.pk)
    if more:
        values["extras"] = {**changed.extras, **more}
    if values.keys() != {"mode"}:
        if isinstance(changed, Contract):
            refuse_unless_writable(changed, changed.subject)
        elif changed.mode != Mode.READWRITE:
            raise ReadOnly(f"The registry is in mode {changed.mode}: it can be read and not changed.")
    before = {name: getattr(changed, name) for name in values}
    if before != values:
        for name, value in values.items():
            setattr(changed, name, value)
        changed.save()
        audit.record(by, "configure", changed, before=before, after=values)
    return changed


@transaction.atomic
def change_contract(subject: str, *, by: Principal, **values: Any) -> Contract | RegistrySettings:
    """Set the same of the contract with this subject, which is made when there is none.

    Raises:
        ReadOnly: when something beside the mode is set, and the mode forbids it.
    """
    catalog_version.bump()
    owner, is_new = Contract.objects.get_or_create(subject=subject)
    if is_new:
        audit.record(by, "create", owner)
    return change(owner, by=by, **values)
