"""The tests' own definitions are those that the registry makes."""

from typing import Any

from contracts.models import Contract, ContractVersion, Schema
from contracts.registry import settings as rules
from core import catalog_version
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from tests import definitions
from tests.definitions import contract

SCHEMA = {"required": ["n"]}
# Keys, and moments. `after` of an audit entry has the key of the schema.
MADE_ANEW = {"id", "created_at", "activated_at", "at", "contract", "schema", "after"}


def rows() -> list[dict[str, Any]]:
    """Return what is in the tables of the registry and in the audit log, without what is of the moment."""
    found = [row for model in (Contract, Schema, ContractVersion, AuditEntry) for row in model.objects.order_by("pk")]
    return [
        {field.name: field.value_from_object(row) for field in row._meta.concrete_fields if field.name not in MADE_ANEW}
        for row in found
    ]


def delete_all() -> None:
    for model in (ContractVersion, Contract, Schema, AuditEntry):
        model.objects.all().delete()


def test_a_contract_that_is_written_again_has_the_rows_of_one_that_is_registered(db, monkeypatch):
    monkeypatch.setattr(definitions, "_registered", {})
    first = contract("orders.order-placed", SCHEMA)
    registered = rows()
    delete_all()
    before = catalog_version.current()

    again = contract("orders.order-placed", SCHEMA)

    assert len(registered) == 4
    assert rows() == registered
    assert again.pk != first.pk
    assert catalog_version.current() > before


def test_changes_of_a_contract_in_one_test_are_in_no_later_one(db, monkeypatch):
    monkeypatch.setattr(definitions, "_registered", {})
    for _ in range(2):
        owner = contract("orders.order-placed", SCHEMA).contract
        assert (owner.compatibility, owner.extras) == ("", {})

        rules.change(owner, by=SYSTEM, compatibility="NONE")
        owner.extras["compatibilityGroup"] = "major"
        delete_all()
