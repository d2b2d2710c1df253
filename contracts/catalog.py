"""The contracts' part of a catalog file: the section `contracts`, and the schemas that other sections write in place.

Contracts are made and changed, never deleted: published events carry a contract's version numbers, and a contract made
anew would give the same numbers to other schemas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from django.db.models import Max

from contracts import registry, schemas
from contracts.errors import BadSchema
from contracts.models import Contract, ContractVersion
from core import audit
from core.catalog_file import CatalogFile, Item
from core.plan import Change, Values, compare
from core.principal import Principal

CONTRACT = "contract"
KINDS = (CONTRACT,)
SECTIONS = ("contracts",)

_SUBJECT_RULE = "a subject has 1 to 255 characters, none of them invisible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A contract as it stands: `version` and `schema` are None when no version is active, `highest` counts drafts 0."""

    description: str
    highest: int
    version: int | None = None
    schema: Mapping[str, Any] | None = None


def read(file: CatalogFile) -> None:
    """Read the section `contracts`."""
    for item in file.section("contracts"):
        item.only("subject", "description", "schema")
        subject = item.name("subject", valid=_is_subject, rule=_SUBJECT_RULE)
        values = {"description": item.text("description") or "", **read_schema(item)}
        if subject is not None:
            file.add(CONTRACT, subject, values, item.place)


def read_schema(item: Item) -> dict[str, Any]:
    """Return `{"schema": document}` of an item that has a good `schema`, else an empty dictionary."""
    document = item.mapping("schema")
    if document is None:
        return {}
    try:
        schemas.compile_schema(schemas.parse(schemas.canonical_text(document)))
    except BadSchema as error:
        item.refuse("schema", error.detail, error.members.get("pointer", ""))
        return {}
    return {"schema": document}


def standing() -> dict[str, Standing]:
    """Return every contract by subject (two queries)."""
    found = {
        subject: Standing(description=description, highest=highest or 0)
        for subject, description, highest in Contract.objects.annotate(highest=Max("versions__number"))
        .order_by("subject")
        .values_list("subject", "description", "highest")
    }
    active = ContractVersion.objects.filter(state=ContractVersion.State.ACTIVE).order_by("number")
    # The highest active version comes last, so it is the one that stays.
    for subject, number, text in active.values_list("contract__subject", "number", "schema__text"):
        found[subject] = replace(found[subject], version=number, schema=orjson.loads(text))
    return found


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return what would change. A change of the schema tells the version numbers too."""
    now = standing()
    current: dict[str, Values] = {
        subject: {"description": found.description, "schema": found.schema} for subject, found in now.items()
    }
    return [
        _numbered(change, now[change.name]) if change.action == "update" else change
        for change in compare(CONTRACT, file.wanted(CONTRACT), current, delete=False)
    ]


def apply(change: Change, *, by: Principal) -> None:
    """Carry out one change of the plan, in the transaction of the caller."""
    after = change.after or {}
    if change.action == "create":
        contract = Contract.objects.create(subject=change.name, description=after.get("description", ""))
        audit.record(by, "create", contract, after=audit.describe(contract))
    else:
        contract = registry.contract(change.name)
        if "description" in after:
            before = audit.describe(contract)
            contract.description = after["description"]
            contract.save()
            audit.record(by, "update", contract, before=before, after=audit.describe(contract))
    if "schema" in after:
        registry.register(contract.subject, schemas.canonical_text(after["schema"]), by=by)


def export(document: dict[str, Any]) -> None:
    """Add the section with all contracts. Whoever writes a contract's schema in place takes it out again."""
    contracts = []
    for subject, found in sorted(standing().items()):
        item: dict[str, Any] = {"subject": subject}
        if found.description:
            item["description"] = found.description
        if found.schema is not None:
            item["schema"] = found.schema
        contracts.append(item)
    document["contracts"] = contracts


def _numbered(change: Change, found: Standing) -> Change:
    if change.before is None or change.after is None or "schema" not in change.after:
        return change
    return replace(
        change,
        before={"version": found.version, **change.before},
        after={"version": found.highest + 1, **change.after},
    )


def _is_subject(text: str) -> bool:
    return 0 < len(text) <= 255 and text.isprintable()
