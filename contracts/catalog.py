"""The contracts' part of a catalog file: the section `contracts`, and schemas written inside other sections.

Contracts are created and changed, but never deleted: published events carry a contract's version numbers, and a new
contract of the same name would assign these numbers to other schemas. A changed schema must be compatible. Catalog
files do not support references between schemas, so an export leaves out schemas that refer to others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from contracts import registry
from contracts.models import Compatibility, Contract, ContractVersion, Policy
from core import audit
from synapse.auth.principal import Principal
from synapse.catalog.file import BadCatalog, CatalogFile, Item
from synapse.catalog.plan import Change, Values, compare
from synapse.errors.contracts import BadSchema, Incompatible
from synapse.problems import Problem
from synapse.schema import validator

CONTRACT = "contract"
KINDS = (CONTRACT,)
SECTIONS = ("contracts",)

# The columns of a contract that a file can set. "" means that the general setting applies.
_COLUMNS = ("description", "compatibility", "policy")
_SUBJECT_RULE = "a subject has 1 to 255 characters, none of them invisible"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractState:
    """A contract's current state. `version` and `schema` are None if no version is active.

    `highest` is the highest version number so far. `refers` says whether the schema refers to others.
    """

    description: str
    compatibility: str
    policy: str
    highest: int
    version: int | None = None
    schema: Mapping[str, Any] | None = None
    refers: bool = False


def read(file: CatalogFile) -> None:
    """Read the section `contracts`."""
    for item in file.section("contracts"):
        item.refuse_other_keys("subject", "description", "compatibility", "policy", "schema")
        subject = item.name(
            "subject", valid=lambda text: 0 < len(text) <= 255 and text.isprintable(), rule=_SUBJECT_RULE
        )
        values = {
            "description": item.text("description") or "",
            "compatibility": item.choice("compatibility", Compatibility.values, ""),
            "policy": item.choice("policy", Policy.values, ""),
            **read_schema(item),
        }
        if subject is not None:
            file.add(CONTRACT, subject, values, item.place)


def read_schema(item: Item) -> dict[str, Any]:
    """Return `{"schema": document}` for an item with a valid `schema`, otherwise an empty dictionary."""
    document = item.mapping("schema")
    if document is None:
        return {}
    try:
        validator.compile_schema(validator.parse_schema(validator.canonical_text(document)))
    except BadSchema as error:
        item.refuse("schema", error.detail, error.members.get("pointer", ""))
        return {}
    return {"schema": document}


def current_states() -> dict[str, ContractState]:
    """Return the state of every contract by subject, with two queries."""
    found = {
        row.subject: ContractState(
            description=row.description, compatibility=row.compatibility, policy=row.policy, highest=row.highest
        )
        for row in Contract.objects.order_by("subject")
    }
    active = ContractVersion.objects.filter(state=ContractVersion.State.ACTIVE, deleted_at=None).order_by("number")
    # The highest active version comes last and overwrites lower ones.
    rows = active.values_list("contract__subject", "number", "schema__text", "schema__references")
    for subject, number, text, references in rows:
        schema = orjson.loads(text)
        found[subject] = replace(found[subject], version=number, schema=schema, refers=bool(references))
    return found


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return the changes to apply. A change of a schema includes the version numbers."""
    now = current_states()
    current: dict[str, Values] = {
        subject: {**_columns_of(found), "schema": found.schema} for subject, found in now.items()
    }
    return [
        _with_versions(change, now[change.name]) if change.action == "update" else change
        for change in compare(CONTRACT, file.definitions_of(CONTRACT), current, delete=False)
    ]


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Apply changes of the plan in the caller's transaction.

    Raises:
        BadCatalog: when a contract's compatibility forbids its new schema, or its mode forbids every change.
    """
    new = [change for change in changes if change.action == "create"]
    try:
        registry.create_contracts([_contract_of(change) for change in new], by=by)
    except Problem as refused:
        raise BadCatalog("The contracts cannot be made", [refused.detail]) from None
    refusals: list[BadCatalog] = []
    for change in changes:
        if change.action == "update":
            try:
                _update_contract(change, by=by)
            except BadCatalog as refusal:
                # The loop continues, so that the error lists all refusals at once.
                refusals.append(refusal)
    if len(refusals) > 1:
        lines = [line for one in refusals for line in (f"{one.detail}:", *(f"  {reason}" for reason in one.problems))]
        raise BadCatalog(f"{len(refusals)} contracts cannot be changed", lines)
    if refusals:
        raise refusals[0]


def _contract_of(change: Change) -> tuple[Contract, registry.Content | None]:
    after = change.after or {}
    contract = Contract(subject=change.name, **{column: after[column] for column in _COLUMNS if column in after})
    if "schema" not in after:
        return contract, None
    # The text was checked when the file was read.
    return contract, registry.Content(text=validator.canonical_text(after["schema"]))


def _update_contract(change: Change, *, by: Principal) -> None:
    after = change.after or {}
    columns = {column: after[column] for column in _COLUMNS if column in after}
    contract = registry.contract(change.name)
    if columns:
        before = audit.describe(contract)
        for column, text in columns.items():
            setattr(contract, column, text)
        contract.save()
        audit.record(by, "update", contract, before=before, after=audit.describe(contract))
    if "schema" not in after:
        return
    try:
        registry.register(contract.subject, validator.canonical_text(after["schema"]), by=by)
    except Incompatible as refused:
        reasons = [f"{each['description']} {each['fix']}" for each in refused.differences]
        raise BadCatalog(f"The new schema of the contract “{contract.subject}” is not compatible", reasons) from None
    except Problem as refused:
        raise BadCatalog(f"The contract “{contract.subject}” cannot be changed", [refused.detail]) from None


def export(document: dict[str, Any]) -> None:
    """Add the section with all contracts. Sections that write a contract's schema inline remove it from here again."""
    contracts = []
    for subject, found in sorted(current_states().items()):
        item: dict[str, Any] = {"subject": subject}
        item |= {column: text for column, text in _columns_of(found).items() if text}
        if found.schema is not None and not found.refers:
            item["schema"] = found.schema
        contracts.append(item)
    document["contracts"] = contracts


def _with_versions(change: Change, found: ContractState) -> Change:
    if change.before is None or change.after is None or "schema" not in change.after:
        return change
    return replace(
        change,
        before={"version": found.version, **change.before},
        after={"version": found.highest + 1, **change.after},
    )


def _columns_of(found: ContractState) -> dict[str, str]:
    return {"description": found.description, "compatibility": found.compatibility, "policy": found.policy}
