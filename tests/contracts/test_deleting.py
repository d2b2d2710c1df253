"""A version is hidden first and deleted for good afterwards; referenced versions stay; numbers are not reused."""

import pytest

from contracts import registry
from contracts.models import ContractVersion, Schema
from contracts.registry import Reference
from core.models import AuditEntry
from streams.models import EventType, Stream
from synapse.auth.principal import NOTHING, SYSTEM, Principal
from synapse.errors.contracts import (
    AlreadyDeleted,
    BadSchema,
    InUse,
    NotDeletedYet,
    Referenced,
    UnknownContract,
    UnresolvedReference,
    WrongState,
)
from synapse.problems import Forbidden
from tests.catalog.files import apply

ONE, TWO, THREE = (f'{{"title": "{name}"}}' for name in ("one", "two", "three"))
ADDRESS = '{"type": "object", "required": ["street"]}'
ORDER = '{"type": "object", "properties": {"to": {"$ref": "address.json"}}}'

pytestmark = pytest.mark.django_db


def register(text, subject="orders.placed", **options):
    return registry.register(subject, text, by=SYSTEM, **options)


def delete(version, **options):
    registry.delete_version(version, by=SYSTEM, **options)


def referring(to, number=1, text=ORDER, subject="orders.placed"):
    reference = Reference(name="address.json", subject=to, version=number)
    return register(text, subject, references=[reference])


def test_a_hidden_version_is_not_checked_against_and_its_schema_stays():
    first, second = register(ONE), register(TWO)

    delete(second)

    assert registry.active_version(first.contract) == first
    assert list(registry.numbered_versions(first.contract)) == [first]
    assert list(registry.numbered_versions(first.contract, deleted=True)) == [first, second]
    assert Schema.objects.filter(pk=second.schema_id).exists()


@pytest.mark.parametrize("permanent", [False, True])
def test_a_number_is_never_given_again(permanent):
    second = [register(ONE), register(TWO)][1]

    delete(second)
    if permanent:
        delete(second, permanent=True)

    again = register(TWO)
    assert (again.number, again.schema_id) == (3, second.schema_id)


def test_a_contract_deleted_for_good_continues_its_version_numbers():
    owner = register(ONE).contract
    registry.delete_contract(owner, by=SYSTEM)
    registry.delete_contract(owner, by=SYSTEM, permanent=True)

    assert register(ONE).number == 2


def test_only_hidden_versions_and_contracts_are_deleted_for_good():
    version = register(ONE)

    with pytest.raises(NotDeletedYet):
        delete(version, permanent=True)
    with pytest.raises(NotDeletedYet):
        registry.delete_contract(version.contract, by=SYSTEM, permanent=True)
    delete(version)
    with pytest.raises(AlreadyDeleted):
        delete(version)
    with pytest.raises(AlreadyDeleted):
        registry.delete_contract(version.contract, by=SYSTEM)


def test_deleting_a_contract_hides_those_versions_that_are_there():
    first, owner = register(ONE), register(TWO).contract
    delete(first)

    assert registry.delete_contract(owner, by=SYSTEM) == [2]
    assert registry.delete_contract(owner, by=SYSTEM, permanent=True) == [1, 2]
    with pytest.raises(UnknownContract):
        registry.delete_contract(owner, by=SYSTEM)


def test_a_draft_is_discarded_and_not_deleted():
    draft = registry.draft("orders.placed", ONE, by=SYSTEM)

    with pytest.raises(WrongState, match="draft"):
        delete(draft)


def test_a_deleted_version_is_not_deprecated():
    version = register(ONE)
    delete(version)

    with pytest.raises(WrongState, match="deleted"):
        registry.deprecate(version, by=SYSTEM)


def test_a_schema_reaches_into_another_contract_by_name():
    register(ADDRESS, "address")

    version = referring("address")

    compiled = registry.compile_stored(version.schema)
    assert compiled.accepts({"to": {"street": "x"}})
    assert not compiled.accepts({"to": {}})


def test_a_schema_reaches_through_another_one_further_on():
    register('{"minLength": 2}', "country")
    country = Reference(name="country.json", subject="country", version=1)
    register('{"properties": {"country": {"$ref": "country.json"}}}', "address", references=[country])

    version = referring("address")

    compiled = registry.compile_stored(version.schema)
    assert compiled.accepts({"to": {"country": "DE"}})
    assert not compiled.accepts({"to": {"country": "D"}})


def test_names_are_relative_to_what_a_schema_calls_itself():
    register(ADDRESS, "address")
    text = '{"$id": "https://shop.example/events/order.json", "properties": {"to": {"$ref": "address.json"}}}'

    compiled = registry.compile_stored(referring("address", text=text).schema)

    assert not compiled.accepts({"to": {}})


@pytest.mark.parametrize("number", [1, 7])
def test_a_reference_to_what_is_not_there_is_refused_and_nothing_is_made(number):
    if number == 7:
        register(ADDRESS, "address")
    before = ContractVersion.objects.count()

    with pytest.raises(UnresolvedReference, match=r"address\.json"):
        referring("address", number)

    assert ContractVersion.objects.count() == before


def test_a_reference_name_cannot_mean_two_schemas():
    register('{"title": "a"}', "a")
    register('{"title": "b"}', "b")
    register("{}", "middle", references=[Reference(name="x", subject="a", version=1)])

    both = [Reference(name="m", subject="middle", version=1), Reference(name="x", subject="b", version=1)]
    with pytest.raises(BadSchema, match="means two schemas"):
        register("{}", references=both)


def test_a_version_that_others_refer_to_can_be_neither_hidden_nor_deleted():
    address = register(ADDRESS, "address")
    order = referring("address")

    with pytest.raises(Referenced, match=r"orders\.placed"):
        delete(address)
    with pytest.raises(Referenced):
        registry.delete_contract(address.contract, by=SYSTEM)

    delete(order)
    delete(address)
    with pytest.raises(Referenced):
        delete(address, permanent=True)
    delete(order, permanent=True)
    delete(address, permanent=True)
    assert not ContractVersion.objects.exists()


def test_a_draft_keeps_what_the_active_version_refers_to():
    register(ADDRESS, "address")
    referring("address")

    draft = registry.draft("orders.placed", ORDER.replace("to", "from"), by=SYSTEM)
    version = registry.activate(draft, by=SYSTEM)

    assert version.references == [{"name": "address.json", "subject": "address", "version": 1}]
    assert list(version.schema.referring.values_list("version__contract__subject", flat=True)) == ["address"]


def test_the_same_text_with_other_references_is_another_schema():
    register(ADDRESS, "address")
    register(ADDRESS.replace("street", "city"), "city")

    one, same = referring("address"), referring("address", subject="orders.sent")
    other = referring("city", subject="orders.returned")

    assert one.schema_id == same.schema_id != other.schema_id


def test_a_version_deleted_for_good_is_recorded_with_its_text():
    version = register(ONE)
    delete(version)
    delete(version, permanent=True)

    hidden, gone = AuditEntry.objects.order_by("id")[1:]
    assert (hidden.action, hidden.target) == ("delete", "contract version orders.placed version 1")
    assert (gone.action, gone.before["text"]) == ("delete for good", ONE)


def define(subject="orders.placed", enforcement="enforce"):
    stream, _ = Stream.objects.get_or_create(name="orders", defaults={"enforcement": enforcement})
    return EventType.objects.create(stream=stream, name="placed", contract=registry.contract(subject))


@pytest.mark.parametrize("enforcement", ["enforce", "warn", "off"])
def test_the_last_active_version_of_a_contract_that_an_event_type_uses_is_not_deleted(enforcement):
    version = register(ONE)
    define(enforcement=enforcement)

    with pytest.raises(InUse, match="the event type “orders/placed”"):
        delete(version)
    with pytest.raises(InUse):
        registry.delete_contract(version.contract, by=SYSTEM)

    assert registry.active_version(version.contract) == version


def test_an_active_version_above_another_one_is_deleted_while_an_event_type_uses_the_contract():
    first, second = register(ONE), register(TWO)
    define()

    delete(second)

    assert registry.active_version(first.contract) == first
    with pytest.raises(InUse):
        delete(first)


def test_a_version_below_the_active_one_is_deleted_while_an_event_type_uses_the_contract():
    first, second = register(ONE), register(TWO)
    define()

    delete(first)
    delete(first, permanent=True)

    assert registry.active_version(second.contract) == second


def test_a_deprecated_version_is_deleted_while_an_event_type_uses_the_contract():
    version = register(ONE)
    define()
    registry.deprecate(version, by=SYSTEM)

    delete(version)

    assert not registry.numbered_versions(version.contract).exists()


def test_a_contract_is_deleted_when_no_event_type_uses_it_any_more():
    version = register(ONE)
    define().delete()

    assert registry.delete_contract(version.contract, by=SYSTEM) == [1]


@pytest.mark.parametrize("hide", [False, True])
def test_a_contract_that_is_removed_keeps_its_numbers_and_the_ids_of_its_schemas(hide):
    old = [register(ONE), register(TWO)][1]
    owner = old.contract
    if hide:
        registry.delete_contract(owner, by=SYSTEM)

    registry.remove_contract(owner, by=SYSTEM)

    with pytest.raises(UnknownContract):
        registry.contract("orders.placed")
    again = register(TWO)
    assert (again.number, again.schema_id) == (3, old.schema_id)
    registry.remove_contract(again.contract, by=SYSTEM)
    assert register(THREE).number == 4


def test_a_contract_that_a_catalog_file_makes_again_begins_above_its_old_numbers():
    registry.remove_contract(register(ONE).contract, by=SYSTEM)

    apply("contracts: [{subject: orders.placed, schema: {type: object}}]")

    assert registry.active_version(registry.contract("orders.placed")).number == 2


def test_a_contract_that_another_one_refers_to_is_not_removed():
    address = register(ADDRESS, "address")
    order = referring("address")

    with pytest.raises(Referenced):
        registry.remove_contract(address.contract, by=SYSTEM)

    registry.remove_contract(order.contract, by=SYSTEM)
    registry.remove_contract(address.contract, by=SYSTEM)
    assert not ContractVersion.objects.exists()


def test_a_contract_that_an_event_type_uses_is_not_removed():
    version = register(ONE)
    define()
    registry.deprecate(version, by=SYSTEM)

    with pytest.raises(InUse):
        registry.remove_contract(version.contract, by=SYSTEM)


def test_a_contract_with_marks_is_removed_only_by_callers_who_may_see_pii():
    version = register('{"properties": {"name": {"x-pii": true}}}')
    shop = Principal(kind="service", name="shop", rights=NOTHING)

    with pytest.raises(Forbidden):
        registry.remove_contract(version.contract, by=shop)

    assert registry.active_version(version.contract) == version
