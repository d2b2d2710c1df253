"""Compatibility, policy and mode: the general settings, and those of single contracts."""

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
    """Return the general settings, which apply to contracts without their own; unsaved defaults if none are stored."""
    return RegistrySettings.objects.filter(pk=_ROW).first() or RegistrySettings(pk=_ROW)


def rules_of(of: Contract) -> tuple[CompatibilityMode, CompatibilityPolicy]:
    """Return the compatibility mode and the policy that apply to a contract."""
    everywhere = of_all()
    return (
        CompatibilityMode(of.compatibility or everywhere.compatibility),
        CompatibilityPolicy(of.policy or everywhere.policy),
    )


def mode_of(of: Contract | None, everywhere: RegistrySettings | None = None) -> str:
    """Return the mode that applies to a contract (None: to one that does not exist yet)."""
    everywhere = everywhere or of_all()
    if everywhere.mode == Mode.READONLY_OVERRIDE or of is None or not of.mode:
        return everywhere.mode
    return of.mode


def normalizes(subject: str) -> bool:
    """Say whether schemas of a subject are normalized before they are stored, unless the request says otherwise."""
    owner = Contract.objects.filter(subject=subject).only("extras").first()
    own = None if owner is None else owner.extras.get("normalize")
    return bool(of_all().extras.get("normalize") if own is None else own)


def refuse_unless_writable(of: Contract | None, subject: str, everywhere: RegistrySettings | None = None) -> None:
    """Raise unless the contract may be changed.

    Raises:
        ReadOnly: when its mode forbids changes.
    """
    mode = mode_of(of, everywhere)
    if mode != Mode.READWRITE:
        raise ReadOnly(f"The contract “{subject}” is in mode {mode}: it can be read and not changed.")


@transaction.atomic
def change(
    of: Contract | None, *, by: Principal, more: Mapping[str, Any] | None = None, **values: Any
) -> Contract | RegistrySettings:
    """Change compatibility, policy, mode or extras of a contract, or the general ones (None). An empty value removes a
    contract's own setting. `more` is merged into the existing extras.

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
    """Change settings of the contract with this subject, after creating it if necessary. Arguments are those of
    `change`.

    Raises:
        ReadOnly: when something beside the mode is set, and the mode forbids it.
    """
    catalog_version.bump()
    owner, is_new = Contract.objects.get_or_create(subject=subject)
    if is_new:
        audit.record(by, "create", owner)
    return change(owner, by=by, **values)
