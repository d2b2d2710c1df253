"""An export reads back as the content of the database, from any origin."""

from datetime import timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import registry
from contracts.models import Contract
from streams.models import EventType, Grant, Service, Stream
from synapse.auth.principal import SYSTEM
from synapse.catalog import yaml as catalog_yaml
from synapse.catalog.file import BadCatalog
from synapse.schema import validator
from synapse_project import catalog
from tests.catalog.files import ORDERS, apply, planned
from tests.chaos.profile import FULL
from tests.definitions import contract, define

pytestmark = pytest.mark.usefixtures("any_schema_may_follow")


def assert_export_plans_to_nothing():
    assert planned(catalog.export(), delete=True) == []


def test_an_export_is_block_style_without_defaults(db):
    apply(ORDERS)

    assert (
        catalog.export()
        == """\
streams:
  - name: orders
    purpose: What customers buy
    max_age: P7D
    event_types:
      - name: order-placed
        schema:
          type: object
          required: [number]
          properties:
            number:
              type: integer
              minimum: 1
        example:
          event_type: order-placed
          number: 7

services:
  - name: shop
    publishes:
      - stream: orders

  - name: warehouse
    subscribes:
      - stream: orders
        event_type: order-placed
"""
    )


def test_an_empty_database_exports_a_file_too(db):
    assert catalog.export() == "streams: []\n\nservices: []\n"
    assert_export_plans_to_nothing()


def test_the_order_does_not_depend_on_the_order_of_creation(db):
    define("b", {"z": None, "a": None})
    define("a")
    first = catalog.export()
    Stream.objects.all().delete()
    define("a")
    define("b", {"a": None, "z": None})

    assert catalog.export() == first


def test_edits_in_the_database_are_exported(db):
    apply(ORDERS)
    Stream.objects.update(
        layout="dual",
        enforcement="off",
        unknown_event_types="reject",
        max_length=10,
        hard_length=20,
        max_age=timedelta(hours=1, seconds=1.5),
        when_full="reject",
        idempotency_window=timedelta(hours=2),
        idempotency_key="required",
        durability="replicated",
        replicas=2,
        purpose="yes\n\n  indented, “quoted”: #1 \n",
    )
    Service.objects.filter(name="shop").delete()
    Grant.objects.create(service=Service.objects.get(), action="publish", stream="*-events", event_type="a*")
    contract("orders.order-placed", {"type": "object"})

    text = catalog.export()

    assert "enforcement: 'off'" in text
    assert "max_age: PT1H1.5S" in text
    assert "idempotency_window: PT2H" in text
    assert_export_plans_to_nothing()


def test_contracts_that_belong_to_no_single_event_type_have_a_section_of_their_own(db):
    shared = contract("address", {"type": "object"}).contract
    alone = contract("nobody-uses-it", {"type": "object"}).contract
    described = define("orders", {"sent": None, "described": {"type": "object"}}).event_types
    described.filter(name="sent").update(contract=shared)
    Contract.objects.filter(subject="orders.described").update(description="About it")
    registry.draft("only-a-draft", '{"type": "object"}', by=SYSTEM)

    text = catalog.export()

    for subject in (shared.subject, alone.subject, "orders.described", "only-a-draft"):
        assert f"  - subject: {subject}\n" in text
    assert "contract: address" in text
    assert_export_plans_to_nothing()


def test_an_event_type_whose_own_contract_is_only_a_draft_keeps_it(db):
    define("orders", {"sent": None})
    registry.draft("orders.sent", '{"type": "object"}', by=SYSTEM)
    EventType.objects.update(contract=Contract.objects.get())

    assert "contract: orders.sent" in catalog.export()
    assert_export_plans_to_nothing()


def test_an_example_that_a_newer_contract_made_wrong_is_exported_all_the_same(db):
    apply(ORDERS)
    contract("orders.order-placed", {"type": "object", "required": ["customer"]})

    assert_export_plans_to_nothing()


def test_a_grant_whose_stream_is_gone_is_exported_all_the_same(db):
    apply(ORDERS)
    Stream.objects.all().delete()

    assert_export_plans_to_nothing()


def test_an_export_rebuilds_an_empty_database(db):
    apply(ORDERS)
    text = catalog.export()
    for model in (Stream, Service, Contract):
        model.objects.all().delete()

    apply(text)

    assert catalog.export() == text


# fmt: off
ODD_TEXTS = [
    "no", "1e3", "012", "0o14", "0x1F", "1_000", ".5", "5.", "+5", ".inf", "1.5e3", "2024-01-15", "1:30", "<<", "=",
    "null", "~", "true", "|", ">", "&a", "*a", "!x", "%", "@", "`", "'", '"', "#", "...", "---", "[", "]", "{", "}",
    "", " a", "a ", "- a", "a: b", "a #b", "\n", "\n a", "a\n", "a\n\n", "\ta", "a\r\nb", "  a\nb", "a \nb",
    "  - a\nb:", "\ufeff", "\x85", "a\u2028b\nc", "a" * 200, "word " * 50, "word\n" * 50,
]
# fmt: on
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=30) | st.sampled_from(ODD_TEXTS)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=100 if FULL else 20)
@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=3))
def test_every_json_value_survives_writing_and_reading(items):
    document = {"streams": items, "services": items}

    source = catalog_yaml.parse_yaml(catalog_yaml.dump_yaml(document).encode())

    assert source.errors == []
    assert source.value == document


def test_a_catalog_of_more_values_than_aliases_may_add_is_read(db, monkeypatch):
    monkeypatch.setattr(catalog_yaml, "MAX_ALIASED", 2_000)
    schema = {"enum": [f"v{number}" for number in range(500)]}
    types = [{"name": f"t{number}", "schema": schema} for number in range(5)]

    text = catalog_yaml.dump_yaml({"streams": [{"name": "orders", "event_types": types}]})

    assert len(catalog.Catalog(text.encode(), name="export").plan()) == 11


def test_the_deepest_example_and_schema_that_can_be_stored_are_exported_so_that_they_are_read(db):
    schema, nested = {}, 1
    for _ in range(60):
        schema = {"not": schema}
    for _ in range(31):
        nested = [[nested]]
    define("orders", {"order-placed": schema})
    EventType.objects.update(example={"event_type": "order-placed", "a": nested})

    assert_export_plans_to_nothing()


def test_an_export_that_no_file_may_hold_is_refused(db, monkeypatch):
    apply(ORDERS)
    monkeypatch.setattr(catalog_yaml, "MAX_BYTES", 100)

    with pytest.raises(BadCatalog, match="at most 100 can be read"):
        catalog.export()


def test_a_schema_that_is_too_long_when_it_is_indented_is_exported_and_read_again(db):
    schema = {"type": "object", "properties": {f"p{n}": {"const": n} for n in range(20)}}
    for _ in range(30):
        schema = {
            "type": "object",
            "properties": {"deeper": schema, **{f"p{n}": {"const": n} for n in range(20)}},
        }
    registry.register("deep", orjson.dumps(schema).decode(), by=SYSTEM)
    assert len(orjson.dumps(schema, option=orjson.OPT_INDENT_2)) > validator.MAX_SCHEMA_BYTES

    assert_export_plans_to_nothing()
