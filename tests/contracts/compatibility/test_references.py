"""Comparing two schemas follows a reference to the schema that the validator checks, however it is written."""

import pytest

from synapse.compatibility import EarlierVersion, Mode, check
from synapse.schema.validator import DRAFTS
from tests.tables import for_each

D4, D6, D7, D2019, D2020 = reversed(DRAFTS)
ADDRESSES = [
    *(None, "http://shop.example/order", "HTTPS://Shop.example/order", "http://shop.example/order#"),
    *("urn:example:order", "tag:example.com,2024:order", "iglu:com.example/order/jsonschema/1-0-0"),
    *("order.json", "/a/order.json", "parts/order.json"),
]
ANCHORS = {D4: {"id": "#a"}, D6: {"$id": "#a"}, D7: {"$id": "#a"}, D2019: {"$anchor": "a"}, D2020: {"$anchor": "a"}}


def schema(draft, address, reference, **parts):
    name = {} if address is None else {"id" if draft == D4 else "$id": address}
    return {"$schema": draft, **name, "properties": {"n": {"$ref": reference}}, **parts}


def rules(new, old, references=None, old_references=None):
    """Return the rules that the new schema breaks after the old one, in both directions."""
    earlier = EarlierVersion(version=1, document=old, references=old_references or references or {})
    verdict = check(new, [earlier], mode=Mode.FULL, references=references or {})
    return [(str(difference.direction), difference.rule) for difference in verdict.differences]


@pytest.mark.product("draft")
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("style", ["pointer", "anchor"])
def test_a_schema_follows_itself_and_a_narrower_one_does_not(style, draft, address):
    def with_type(name):
        part = {"type": name, **(ANCHORS[draft] if style == "anchor" else {})}
        return schema(draft, address, "#a" if style == "anchor" else "#/definitions/x", definitions={"x": part})

    assert not rules({**with_type("number"), "description": "words"}, with_type("number"))
    assert rules(with_type("integer"), with_type("number")) == [("BACKWARD", "TYPE_NARROWED")]


@for_each("name", ["n.json", "parts/n.json", "../n.json", "/n.json", "a b.json", "urn:example:n", "com.example.N"])
@for_each("address", ADDRESSES)
def test_a_registered_reference_is_compared_for_any_id_of_the_schema(address, name):
    main = schema(D2020, address, name)
    number, integer = {name: {"type": "number"}}, {name: {"type": "integer"}}

    assert not rules({**main, "description": "words"}, main, number)
    assert not rules({**main, "properties": {**main["properties"], "note": {"type": "string"}}}, main, number)
    assert rules(main, main, integer, number) == [("BACKWARD", "TYPE_NARROWED")]


def test_a_reference_into_a_part_with_an_id_is_followed_through_the_whole():
    def with_type(name):
        inner = {"$id": "http://other.example/", "$defs": {"a": {"type": name}}}
        return schema(D2020, "http://shop.example/", "#/$defs/inner/$defs/a", **{"$defs": {"inner": inner}})

    assert not rules({**with_type("number"), "title": "words"}, with_type("number"))
    assert rules(with_type("integer"), with_type("number")) == [("BACKWARD", "TYPE_NARROWED")]


def test_a_reference_that_is_referred_to_may_refer_on_by_a_relative_name():
    main = schema(D2020, "https://shop.example/events/order.json", "address.json")
    references = {"address.json": {"properties": {"at": {"$ref": "geo.json"}}}, "geo.json": {"type": "number"}}

    assert not rules({**main, "description": "words"}, main, references)
    assert rules(main, main, {**references, "geo.json": {"type": "integer"}}, references)
