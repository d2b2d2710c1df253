"""Schemas in a catalog file: a changed schema is a new version, a reformatted one is not."""

import pytest

from contracts import registry
from contracts.models import Contract, ContractVersion
from core.models import AuditEntry
from streams.models import EventType
from synapse.auth.principal import SYSTEM
from tests.catalog.files import ORDERS, apply, mistakes, planned
from tests.definitions import contract

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("any_schema_may_follow")]

STRICTER = ORDERS.replace("minimum: 1", "minimum: 5")


def versions() -> list[tuple[int | None, str]]:
    return list(ContractVersion.objects.order_by("pk").values_list("number", "state"))


def test_a_changed_schema_is_the_next_version():
    apply(ORDERS)
    AuditEntry.objects.all().delete()

    apply(STRICTER)

    active = registry.active_version(Contract.objects.get())
    assert active.number == 2
    assert '"minimum": 5' in active.text
    record = AuditEntry.objects.get()
    assert (record.actor, record.action, record.target) == ("catalog", "activate", "contract orders.order-placed")
    assert (record.before["version"], record.after["version"]) == (1, 2)


def test_a_schema_written_in_another_way_is_no_new_version():
    apply(ORDERS)
    rewritten = """
        streams:
          - name: orders
            purpose: "What customers buy"
            max_age: P7D
            event_types:
              - name: order-placed
                schema: {"properties": {"number": {"minimum": 1, "type": "integer"}}, "required": ["number"],
                         "type": "object"}
                example: {number: 7, event_type: order-placed}
    """

    assert planned(rewritten) == []


def test_going_back_to_an_old_schema_is_a_new_version_with_the_old_text():
    apply(ORDERS)
    apply(STRICTER)

    apply(ORDERS)

    first, _, third = ContractVersion.objects.order_by("number")
    assert (third.number, third.schema_id) == (3, first.schema_id)


def test_somebodys_draft_is_left_alone():
    apply(ORDERS)
    registry.draft("orders.order-placed", '{"title": "half finished"}', by=SYSTEM)

    apply(STRICTER)

    assert sorted(versions(), key=str) == [(1, "active"), (2, "active"), (None, "draft")]
    assert ContractVersion.objects.get(state="draft").draft_text == '{"title": "half finished"}'


def test_a_schema_that_is_taken_out_leaves_the_contract_but_not_the_check():
    apply(ORDERS)

    apply("streams: [{name: orders, event_types: [{name: order-placed}]}]")

    assert EventType.objects.get().contract is None
    assert Contract.objects.exists()


def test_a_contract_that_was_given_back_goes_on_counting():
    apply(ORDERS)
    apply("streams: []", delete=True)

    apply(STRICTER)

    assert versions() == [(1, "active"), (2, "active")]


def test_event_types_can_share_a_contract_of_the_file():
    apply("""
        contracts:
          - subject: address
            description: Where something goes
            schema: {type: object, required: [street]}
        streams:
          - name: orders
            event_types: [{name: sent, contract: address}, {name: returned, contract: address}]
    """)

    address = Contract.objects.get()
    assert (address.subject, address.description) == ("address", "Where something goes")
    assert {event_type.contract_id for event_type in EventType.objects.all()} == {address.pk}


def test_an_event_type_can_use_a_contract_of_the_database():
    contract("address", {"type": "object"})

    apply("streams: [{name: orders, event_types: [{name: sent, contract: address}]}]")

    assert EventType.objects.get().contract.subject == "address"


def test_a_contracts_description_can_change_without_a_new_version():
    text = "contracts: [{subject: address, description: old, schema: {type: object}}]"
    apply(text)

    apply(text.replace("old", "new"))

    assert Contract.objects.get().description == "new"
    assert versions() == [(1, "active")]


def test_an_unknown_contract_is_refused():
    contract("address", {"type": "object"})

    assert mistakes("streams: [{name: orders, event_types: [{name: sent, contract: addres}]}]") == [
        "line 1: streams[0].event_types[0].contract: there is no contract “addres”; did you mean “address”?"
    ]


def test_an_event_type_has_a_schema_or_a_contract():
    text = "streams: [{name: s, event_types: [{name: t, contract: s.t, schema: {type: object}}]}]"

    assert mistakes(text) == [
        "line 1: streams[0].event_types[0].contract: the event type has a schema of its own; leave one of the two out"
    ]


def test_a_contract_is_written_once():
    text = """
        contracts: [{subject: s.t, schema: {type: object}}]
        streams:
          - name: s
            event_types:
              - name: t
                schema: {type: string}
    """

    assert mistakes(text) == ["line 6: streams[0].event_types[0]: the contract “s.t” is already at contracts[0]"]


def test_a_changed_schema_is_held_against_the_example():
    apply(ORDERS)

    assert mistakes(ORDERS.replace("minimum: 1", "minimum: 8")) == [
        "line 13: streams[0].event_types[0].example /number: breaks the schema: “number” must be 8 or more, but is 7."
    ]
