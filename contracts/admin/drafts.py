"""A contract's draft as pages show it, and saving what a person wrote."""

from contracts import registry
from contracts.models import Contract, ContractVersion
from synapse.auth.principal import Principal
from synapse.schema import validator


def standing_text(contract: Contract) -> str:
    """Return what a person edits: the draft's text, else that of the active version, else nothing."""
    version = registry.draft_of(contract) or registry.active_version(contract)
    return "" if version is None else version.text


def save(contract: Contract, text: str, *, by: Principal) -> ContractVersion | None:
    """Make the text the contract's draft. Return None when it says what stands already and there is no draft.

    Raises:
        BadSchema: when the text cannot be a contract's schema.
    """
    if text == standing_text(contract):
        return registry.draft_of(contract)
    return registry.draft(contract.subject, text, by=by)


def readable(version: ContractVersion | None) -> str:
    """Return a version's schema laid out evenly, so that only what it says makes a difference; "" for none."""
    return "" if version is None else validator.canonical_text(validator.parse(version.text))
