"""A version's schema and Python code are downloaded as files that do no harm."""

import importlib
import sys

import orjson
import pytest
from django.urls import reverse
from pydantic import ValidationError

from contracts import registry
from contracts.registry import Reference
from synapse.auth.principal import SYSTEM
from synapse.errors.contracts import NoPythonCode
from synapse.schema.codegen import generator, safety
from tests.admin.pages import messages_of, url
from tests.definitions import contract
from tests.fork_server import started_by_themselves

pytestmark = pytest.mark.process

CONTRACT = "contracts.contract"
SCHEMA = {
    "type": "object",
    "description": 'An order """ with quotes',
    "properties": {
        "event_type": {"const": "order-placed"},
        "n": {"type": "integer", "minimum": 1},
        "placed-at": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["event_type", "n"],
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}},
}
EXAMPLE = {"event_type": "order-placed", "n": 1, "placed-at": "2026-01-02T03:04:05Z", "lines": [{"sku": "a"}]}


@pytest.fixture
def owner(db):
    return contract("orders.order-placed", SCHEMA).contract


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import a downloaded file: `imported("orders.py", content)`."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def module_of(name, content):
        (tmp_path / name).write_bytes(content)
        names.append(name.removesuffix(".py"))
        return importlib.import_module(names[-1])

    yield module_of
    for name in names:
        del sys.modules[name]


def test_the_schema_is_downloaded_as_its_author_wrote_it(admin_client, owner):
    answer = admin_client.get(url(CONTRACT, "schema", owner.pk, 1))

    assert answer.content.decode() == registry.version(owner, 1).text
    assert answer["Content-Type"] == "application/schema+json"
    assert answer["Content-Disposition"] == 'attachment; filename="orders_order_placed_v1.schema.json"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_model_in_the_downloaded_code_accepts_valid_events_and_refuses_an_invalid_one(
    admin_client, owner, imported
):
    with started_by_themselves():
        answer = admin_client.get(url(CONTRACT, "python", owner.pk, 1))

    assert answer["Content-Type"] == "text/x-python; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="orders_order_placed_v1.py"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    module = imported("orders_order_placed_v1.py", answer.content)
    event = module.OrderPlaced.model_validate({**EXAMPLE, "more": True})
    assert event.n == 1
    assert orjson.loads(event.model_dump_json(by_alias=True)) == {**EXAMPLE, "more": True}
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        module.OrderPlaced.model_validate({**EXAMPLE, "n": 0})


def test_code_is_generated_for_a_schema_that_refers_to_the_schema_of_another_contract(admin_client, owner, imported):
    contract("shared.address", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
    text = '{"type": "object", "properties": {"to": {"$ref": "address.json"}}}'
    address = Reference(name="address.json", subject="shared.address", version=1)
    version = registry.register("orders.order-sent", text, by=SYSTEM, references=[address])

    answer = admin_client.get(url(CONTRACT, "python", version.contract.pk, 1))

    module = imported("orders_order_sent_v1.py", answer.content)
    assert module.OrderSent.model_validate({"to": {"city": "Basel"}}).to.city == "Basel"


def test_code_is_generated_for_a_schema_with_references_by_anchors_and_relative_names(admin_client, db, imported):
    contract("shared.address", {"$id": "parts/address.json", "properties": {"city": {"$ref": "#c"}},
                                "$defs": {"c": {"$anchor": "c", "type": "string"}}})  # fmt: skip
    text = '{"$id": "urn:example:order", "type": "object", "properties": {"to": {"$ref": "address.json"}}}'
    address = Reference(name="address.json", subject="shared.address", version=1)
    version = registry.register("orders.order-moved", text, by=SYSTEM, references=[address])

    answer = admin_client.get(url(CONTRACT, "python", version.contract.pk, 1))

    module = imported("orders_order_moved_v1.py", answer.content)
    assert module.OrderMoved.model_validate({"to": {"city": "Basel"}}).to.city.root == "Basel"
    with pytest.raises(ValidationError):
        module.OrderMoved.model_validate({"to": {"city": 5}})


def test_definitions_with_dots_in_their_names_are_models_of_the_one_module(imported):
    names = {"customer": "com.example.Customer", "payer": "os.system", "agent": "v1.0", "guest": ".hidden"}
    person = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = {
        "type": "object",
        "properties": {role: {"$ref": f"#/$defs/{name}"} for role, name in names.items()},
        "$defs": {name: {**person, "title": role} for role, name in names.items()},
    }

    code = generator.generate_module("orders.order-placed", 1, schema, {})

    model = imported("dotted_names.py", code.text.encode()).OrderPlaced
    found = model.model_validate({role: {"n": 7} for role in names})
    assert {role: getattr(found, role).n for role in names} == dict.fromkeys(names, 7)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"n": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}},
    ],
    ids=["a meta-schema"],
)
def test_a_schema_without_harmless_code_leads_back_to_its_version_with_a_message(admin_client, db, schema):
    owner = contract("orders.order-placed", schema).contract

    page = admin_client.get(url(CONTRACT, "python", owner.pk, 1), follow=True)

    assert page.redirect_chain[-1][0] == reverse("admin:contracts_contract_version", args=[owner.pk, 1])
    assert messages_of(page)[0].startswith("There is no Python code for version 1.")


IMPORTING = "pydantic.ImportString"
EVERY_EXTENSION = {
    "customTypePath": IMPORTING,
    "customBasePath": ["pydantic.ImportString", "os.PathLike"],
    "x-python-type": "Callable[[int], str]",
    "x-python-import": {"module": "pydantic", "name": "ImportString"},
    "x-python-field-overrides": {"n": {"type": IMPORTING}},
    "x-enum-varnames": ["__class__", "mro", "_value_"],
    "x-enumNames": ["__class__", "mro", "_value_"],
    "x-enum-descriptions": ['"""\nimport os', "b", "c"],
    "x-enum-field-as-literal": True,
    "x-propertyNames": {"customTypePath": IMPORTING},
    "x-implements": [IMPORTING],
    "x-order": 1,
    "default_factory": "os.getcwd",
    "extends": ["file:///etc/passwd"],
    "discriminator": {"propertyName": "kind", "mapping": {"a": "file:///etc/passwd"}},
    "nullable": True,
    "example": "file:///etc/passwd",
    "$id": "file:///etc/",
    "$anchor": "here",
    "$vocabulary": {"file:///etc/passwd": True},
    "model_config": {"arbitrary_types_allowed": True},
}
PLACES = {
    "at the top": lambda own: {"type": "object", "properties": {"n": {"enum": ["a", "b", "c"]}}, **own},
    "of a property": lambda own: {"type": "object", "properties": {"n": {"enum": ["a", "b", "c"], **own}}},
    "of items": lambda own: {"type": "object", "properties": {"n": {"type": "array", "items": {**own}}}},
    "of a definition": lambda own: {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"enum": ["a"], **own}}},
    "in a branch": lambda own: {"properties": {"n": {"anyOf": [{"type": "string", **own}, {"type": "integer"}]}}},
    "in a place of its own": lambda own: {
        "properties": {"n": {"$ref": "#/more/schemas/n"}}, "more": {"schemas": {"n": {"enum": ["a"], **own}}}
    },
}  # fmt: skip


@pytest.mark.product("where")
@pytest.mark.parametrize("where", PLACES)
def test_the_generators_own_keywords_change_nothing_in_the_code(where):
    plain = generator.generate_module("orders.order-placed", 1, PLACES[where]({}), {})
    asked = generator.generate_module("orders.order-placed", 1, PLACES[where](EVERY_EXTENSION), {})

    assert asked.text == plain.text
    assert "ImportString" not in asked.text


@pytest.mark.parametrize("keyword", EVERY_EXTENSION)
def test_each_keyword_of_the_generator_is_dropped_from_a_schema(keyword):
    own = {keyword: EVERY_EXTENSION[keyword]}
    referring = {"properties": {"n": {"$ref": f"#/{keyword}/n"}}, **own}

    for make in PLACES.values():
        assert safety.plain_schema(make(own)) == safety.plain_schema(make({}))
    if keyword.lower().startswith(("x-", "custom")):
        assert keyword not in safety.plain_schema(referring)


def test_a_property_may_be_called_like_a_keyword_of_the_generator():
    schema = {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in EVERY_EXTENSION},
        "required": ["customTypePath"],
        "default": {"customTypePath": 1},
        "const": {"x-python-type": "int"},
    }

    assert safety.plain_schema(schema) == schema


def test_properties_with_names_that_the_code_imports_are_read_and_validated(imported):
    named = {"Field": {"type": "string", "minLength": 2}, "date": {"type": "string", "format": "date"}}
    more = {"ulid": {"type": "string", "format": "ulid"}, "str": {"type": "string"}}

    code = generator.generate_module("orders.order-placed", 1, {"type": "object", "properties": {**named, **more}}, {})

    module = imported(code.file_name, code.text.encode())
    order = module.OrderPlaced.model_validate({"Field": "ab", "date": "2026-01-02", "ulid": "x", "str": "y"})
    assert (order.Field, order.date.year, order.ulid, order.str_) == ("ab", 2026, "x", "y")


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "from pydantic import ImportString",
        "from pydantic import validate_call",
        "from pydantic import FilePath",
        "from pydantic import create_model as Field\nField('A')",
        "from typing import get_type_hints",
        "from typing import *",
        "from enum import Enum, global_enum",
        "class A:\n    a: open",
        "class A(object, print): pass",
        "class A:\n    a = compile",
        "Field = print\nField(1)",
        "from pydantic import BaseModel\nclass A(BaseModel):\n    a: int = Field(default_factory=breakpoint)",
        "from os import system",
        "from pydantic import BaseModel\nclass A(BaseModel):\n    a: int = __import__('os')",
        "class A:\n    a: list['__import__(\"os\")']",
        "class A:\n    a: 'print(1)'",
        "class A:\n    def f(self): pass",
        "class A(metaclass=print): pass\nprint(1)",
        "@print\nclass A: pass",
        "class A:\n    a = Field().__class__",
        "eval('1')",
        "for a in b: pass",
        "a = [b for b in c]",
        "a = (",
        "a = '\0'",
    ],
)
def test_code_that_does_more_than_declare_models_is_not_handed_out(code):
    with pytest.raises(NoPythonCode):
        safety.check(code)


@pytest.fixture
def no_code_kept(monkeypatch):
    monkeypatch.setattr(generator, "_cache", generator._CodeCache())


def test_the_code_of_a_version_is_generated_once(admin_client, owner, no_code_kept, monkeypatch):
    first = admin_client.get(url(CONTRACT, "python", owner.pk, 1))
    monkeypatch.setattr(generator, "_WRITER", "/there/is/no/generator.py")

    again = admin_client.get(url(CONTRACT, "python", owner.pk, 1))

    assert again.status_code == 200
    assert again.content == first.content


def test_equal_schemas_of_two_contracts_have_code_of_their_own(no_code_kept):
    placed = generator.generate_module("orders.order-placed", 1, SCHEMA, {})
    sent = generator.generate_module("orders.order-sent", 2, SCHEMA, {})

    assert "class OrderPlaced(" in placed.text
    assert "class OrderSent(" in sent.text
    assert sent.text.startswith("# What events must look like: version 2 of the contract 'orders.order-sent'.")


def test_a_large_module_is_not_kept_in_the_cache(no_code_kept, monkeypatch):
    monkeypatch.setattr(generator, "_LARGEST_KEPT", 10)
    generator.generate_module("orders.order-placed", 1, SCHEMA, {})

    with pytest.raises(NoPythonCode, match=r"more than 0\.001 seconds"):
        generator.generate_module("orders.order-placed", 1, SCHEMA, {}, seconds=0.001)


def test_the_modules_that_were_requested_last_stay_in_the_cache(monkeypatch):
    monkeypatch.setattr(generator, "_MOST_KEPT", 2)
    cache = generator._CodeCache()
    cache.put(b"a", "A")
    cache.put(b"b", "B")
    cache.get(b"a")

    cache.put(b"c", "C")

    assert [cache.get(asked) for asked in (b"a", b"b", b"c")] == ["A", None, "C"]


def test_the_generation_of_code_has_a_time_limit(no_code_kept):
    with pytest.raises(NoPythonCode, match=r"more than 0\.001 seconds"):
        generator.generate_module("orders.order-placed", 1, SCHEMA, {}, seconds=0.001)


@pytest.mark.parametrize(
    ("subject", "module"),
    [
        ("orders.order-placed", "orders_order_placed"),
        ('"; rm -rf /', "rm_rf"),
        ("../../etc/passwd", "etc_passwd"),
        ("заказ", "event"),
        ("1", "event_1"),
    ],
)
def test_a_file_has_a_plain_name_for_any_subject(subject, module):
    assert generator.module_name(subject) == module


def test_a_person_who_may_not_view_contracts_cannot_download_schema_or_code(client_who_may, owner):
    client = client_who_may("streams.view_stream")

    assert client.get(url(CONTRACT, "schema", owner.pk, 1)).status_code == 403
    assert client.get(url(CONTRACT, "python", owner.pk, 1)).status_code == 403
