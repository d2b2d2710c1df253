"""A schema in a catalog file must be compatible with the versions before it, as everywhere."""

import io

import pytest
from django.core.management import CommandError, call_command

from contracts import registry
from contracts.models import Contract, ContractVersion
from contracts.registry import settings
from core import catalog_version
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from synapse.catalog.file import BadCatalog
from synapse_project import catalog
from tests.catalog.files import ORDERS, apply, planned
from tests.definitions import contract

pytestmark = pytest.mark.django_db

STRICTER = ORDERS.replace("minimum: 1", "minimum: 5").replace("number: 7", "number: 8")
ADDRESS = "contracts: [{subject: address, compatibility: %s, schema: {type: object, required: [street]}}]"


def test_a_schema_that_would_break_others_is_refused_with_each_reason_and_nothing_changes(tmp_path):
    apply(ORDERS)
    file = tmp_path / "orders.yaml"
    file.write_text(STRICTER)

    with pytest.raises(CommandError) as refused:
        call_command("catalog", "apply", str(file), stdout=io.StringIO())

    assert "The new schema of the contract “orders.order-placed” is not compatible; nothing was changed." in str(
        refused.value
    )
    assert len(str(refused.value).splitlines()) >= 2
    assert ContractVersion.objects.count() == 1


def frozen(subject):
    owner = contract(subject, {"type": "object"}).contract
    settings.change(owner, by=SYSTEM, mode="READONLY")


def everything_frozen():
    settings.change(None, by=SYSTEM, mode="READONLY_OVERRIDE")


NEW_STREET = "contracts: [{subject: address, schema: {type: object, required: [street]}}]"
TWO_REFUSED = """contracts:
  - {subject: address, schema: {type: object, required: [street]}}
  - {subject: person, schema: {type: object, title: Person}}
"""


@pytest.mark.parametrize(
    ("arrange", "text", "reason"),
    [
        (lambda: contract("address", {"type": "object"}), NEW_STREET, "“address” is not compatible"),
        (lambda: frozen("address"), NEW_STREET, "in mode READONLY"),
        (everything_frozen, NEW_STREET, "in mode READONLY_OVERRIDE"),
        (lambda: Contract.objects.create(subject="address", mode="READONLY"), NEW_STREET, "in mode READONLY"),
        (
            lambda: (contract("address", {"type": "object"}), frozen("person")),
            TWO_REFUSED,
            "2 contracts cannot be changed",
        ),
    ],
    ids=["incompatible", "read only", "registry read only", "read only and empty", "two at once"],
)
def test_plan_refuses_what_apply_would_refuse_in_the_same_words(tmp_path, arrange, text, reason):
    arrange()
    file = tmp_path / "catalog.yaml"
    file.write_text(text)

    said = []
    for verb in ("plan", "apply"):
        with pytest.raises(CommandError) as refused:
            call_command("catalog", verb, str(file), stdout=io.StringIO())
        said.append(str(refused.value))

    assert said[0] == said[1]
    assert reason in said[0]


def test_two_contracts_that_are_refused_are_both_named():
    contract("address", {"type": "object"})
    frozen("person")

    with pytest.raises(BadCatalog) as refused:
        catalog.Catalog(TWO_REFUSED.encode(), name="file.yaml").plan()

    text = "\n".join(refused.value.problems)
    assert "“address” is not compatible" in text
    assert "“person” cannot be changed" in text


def test_a_plan_with_a_compatible_schema_leaves_nothing_behind():
    contract("address", {"type": "object"})
    before = (catalog_version.current(), AuditEntry.objects.count(), ContractVersion.objects.count())

    changes = planned("contracts: [{subject: address, schema: {type: object, title: Address}}]")

    assert changes == ["update contract address"]
    assert (catalog_version.current(), AuditEntry.objects.count(), ContractVersion.objects.count()) == before


def test_a_catalog_that_only_makes_what_is_missing_is_not_held_up_by_an_older_schema(tmp_path):
    apply(STRICTER)
    settings.change(None, by=SYSTEM, compatibility="FULL")
    file = tmp_path / "orders.yaml"
    file.write_text(ORDERS)

    call_command("catalog", "apply", str(file), "--only-new", stdout=io.StringIO())

    assert ContractVersion.objects.count() == 1


def test_an_incompatible_schema_is_applied_when_the_file_says_compatibility_none():
    contract("address", {"type": "object"})

    with pytest.raises(BadCatalog, match="not compatible"):
        apply(ADDRESS % "BACKWARD")
    apply(ADDRESS % "NONE")

    assert registry.active_version(Contract.objects.get()).number == 2
    assert Contract.objects.get().compatibility == "NONE"


def test_a_contract_that_is_read_only_is_not_changed():
    owner = contract("address", {"type": "object"}).contract
    settings.change(owner, by=SYSTEM, mode="READONLY")

    with pytest.raises(BadCatalog, match="cannot be changed") as refused:
        apply("contracts: [{subject: address, schema: {type: object, title: Address}}]")

    assert "READONLY" in refused.value.problems[0]


def test_a_schema_that_refers_to_another_stays_as_it_is():
    contract("address", {"type": "object"})
    reference = registry.Reference(name="address.json", subject="address", version=1)
    text = '{"properties": {"to": {"$ref": "address.json"}}}'
    registry.register("order", text, by=SYSTEM, references=[reference])

    exported = catalog.export()

    assert "subject: order\n" in exported
    assert "address.json" not in exported
    assert planned(exported, delete=True) == []
