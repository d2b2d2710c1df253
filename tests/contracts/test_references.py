"""A reference leads masking to the schema that the validator checks, however it is written."""

from collections.abc import Mapping
from typing import Any

import pytest

from synapse.errors.contracts import BadSchema
from synapse.schema.pii import MASK, masked
from synapse.schema.references import ReferenceResolver
from synapse.schema.validator import DRAFTS, compile_schema
from tests.tables import for_each

D4, D6, D7, D2019, D2020 = reversed(DRAFTS)
OLDER = (D4, D6, D7)
MAIL: Mapping[str, Any] = {"type": "string", "x-pii": True}
EVENT = {"mail": "anna@example.org", "plan": "pro"}
HIDDEN = {"mail": MASK, "plan": "pro"}

ADDRESSES = (
    *("http://shop.example/order", "HTTPS://Shop.example/order", "http://shop.example/order#", "http://shop.example/%7Ea"),
    *("urn:example:order", "tag:example.com,2024:order", "iglu:com.example/order/jsonschema/1-0-0", "order.json"),
    *("/schemas/order.json", "parts/order.json", "../order.json", "//shop.example/order", "mailto:a@example.org", ""),
)  # fmt: skip
HIERARCHICAL = (
    "http://shop.example/events/order",
    "HTTPS://Shop.example/events/order",
    "parts/order.json",
    "/a/b.json",
)


def schema_of(draft: str, address: str | None, reference: str, **parts: Any) -> dict[str, Any]:
    """Return a schema whose `mail` is what the reference leads to; its `plan` is anything."""
    word = "id" if draft == D4 else "$id"
    name = {} if address is None else {word: address}
    return {"$schema": draft, **name, "properties": {"mail": {"$ref": reference}, "plan": {}}, **parts}


def masks_what_it_checks(schema: Mapping[str, Any], references: Mapping[str, Any] | None = None) -> bool:
    """Say whether the validator and masking both follow the reference of `mail` to `MAIL`, and leave `plan` alone."""
    compiled = compile_schema(schema, references)
    assert compiled.accepts(EVENT)
    assert not compiled.accepts({**EVENT, "mail": 5}), "the validator finds another schema"
    return compiled.personal is not None and masked(EVENT, compiled.personal) == HIDDEN


@pytest.mark.product("draft")
@pytest.mark.parametrize("address", [None, *ADDRESSES])
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_pointer_is_followed_for_any_id_of_the_schema(draft: str, address: str | None) -> None:
    assert masks_what_it_checks(schema_of(draft, address, "#/definitions/a", definitions={"a": MAIL}))


@for_each("address", ADDRESSES[:-1])
def test_a_reference_that_writes_the_address_out_is_followed(address: str) -> None:
    reference = f"{address.rstrip('#')}#/$defs/a"

    assert masks_what_it_checks(schema_of(D2020, address, reference, **{"$defs": {"a": MAIL}}))


ANCHORS = [
    *((draft, {"$anchor": "mail"}) for draft in (D2019, D2020)),
    (D2020, {"$dynamicAnchor": "mail"}),
    *((draft, {"$id": "#mail"}) for draft in (D6, D7)),
    (D4, {"id": "#mail"}),
]


@pytest.mark.product("address")
@pytest.mark.parametrize("address", [None, *ADDRESSES])
@pytest.mark.parametrize(("draft", "name"), ANCHORS)
def test_an_anchor_is_followed(draft: str, name: Mapping[str, str], address: str | None) -> None:
    assert masks_what_it_checks(schema_of(draft, address, "#mail", definitions={"a": {**name, **MAIL}}))


POINTERS = {
    "a/b": "#/definitions/a~1b",
    "a~b": "#/definitions/a~0b",
    "a~1b": "#/definitions/a~01b",
    "a%b": "#/definitions/a%25b",
    "a b": "#/definitions/a%20b",
    'a"b': "#/definitions/a%22b",
    "ü": "#/definitions/%C3%BC",
    "a-b": "#/definitions/a%2Db",
    "": "#/definitions/",
    "0": "#/definitions/0",
    "$ref": "#/definitions/$ref",
    "\U0010ffff": "#/definitions/%F4%8F%BF%BF",
}


@pytest.mark.product("draft")
@pytest.mark.parametrize(("key", "reference"), POINTERS.items())
@pytest.mark.parametrize("draft", DRAFTS)
def test_an_escaped_pointer_is_followed(draft: str, key: str, reference: str) -> None:
    assert masks_what_it_checks(schema_of(draft, "urn:example:order", reference, definitions={key: MAIL, "a": {}}))


@for_each("address", [None, *HIERARCHICAL])
@for_each("draft", DRAFTS)
def test_a_name_relative_to_the_schema_finds_a_part_with_an_id(draft: str, address: str | None) -> None:
    inner = {"id" if draft == D4 else "$id": "contact.json", **MAIL}

    assert masks_what_it_checks(schema_of(draft, address, "contact.json", definitions={"a": inner}))


@for_each("draft", DRAFTS)
def test_a_fragment_in_a_part_with_an_id_means_that_part(draft: str) -> None:
    word = "id" if draft == D4 else "$id"
    inner = {word: "http://other.example/inner", "allOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": MAIL}}
    schema = schema_of(draft, "urn:example:order", "#/definitions/inner", definitions={"inner": inner, "a": {}})

    assert masks_what_it_checks(schema)


@pytest.mark.parametrize("draft", OLDER)
def test_in_older_drafts_an_id_beside_a_reference_is_no_base(draft: str) -> None:
    word = "id" if draft == D4 else "$id"
    schema = schema_of(draft, "http://shop.example/order", "#", definitions={"a": MAIL})
    schema["properties"]["mail"] = {word: "http://other.example/", "$ref": "#/definitions/a"}

    assert masks_what_it_checks(schema)


@for_each("keyword", ["const", "enum", "default", "examples"])
def test_an_id_in_a_value_names_nothing(keyword: str) -> None:
    value = {"$id": "contact.json", "$anchor": "mail"}
    values = {keyword: [value] if keyword in ("enum", "examples") else value}
    schema = schema_of(D2020, "http://shop.example/order", "contact.json#mail", **{"$defs": {"v": values}})
    schema["$defs"]["a"] = {"$id": "contact.json", "$defs": {"mail": {"$anchor": "mail", **MAIL}}}

    assert masks_what_it_checks(schema)


@for_each("draft", DRAFTS)
def test_a_pointer_through_an_unknown_keyword_is_followed(draft: str) -> None:
    assert masks_what_it_checks(schema_of(draft, "urn:example:order", "#/x-parts/0/a", **{"x-parts": [{"a": MAIL}]}))


NAMES = [
    *("contact.json", "contact", "parts/contact.json", "../contact.json", "/contact.json", "a b.json", "ü.json"),
    *("urn:example:contact", "tag:example.com,2024:contact", "http://other.example/contact", "HTTP://Other.example/c"),
    *("com.example.Contact", "contact.json#", "contact.json#/definitions/x", "a?b=c", "%7Econtact", "https://x/a%2fb"),
]


@pytest.mark.product("address")
@for_each("name", NAMES)
@pytest.mark.parametrize("address", [None, *ADDRESSES])
def test_a_registered_reference_is_found_by_its_name_for_any_id_of_the_schema(address: str | None, name: str) -> None:
    assert masks_what_it_checks(schema_of(D7, address, name), {name: dict(MAIL)})


@pytest.mark.product("draft")
@pytest.mark.parametrize("own", ADDRESSES)
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_registered_reference_may_have_a_name_of_its_own_and_refer_on(draft: str, own: str) -> None:
    contact = {
        "$schema": draft,
        "id" if draft == D4 else "$id": own,
        "allOf": [{"$ref": "#/definitions/a"}, {"$ref": "more.json"}],
        "definitions": {"a": {"type": "string"}},
    }
    references = {"contact.json": contact, "more.json": {"x-pii": True}}

    assert masks_what_it_checks(schema_of(draft, "urn:example:main", "contact.json"), references)


@pytest.mark.parametrize("written", ["contact.json", "http://shop.example/contact.json", "./contact.json"])
def test_a_part_with_the_address_of_a_registered_reference_comes_before_it(written: str) -> None:
    inner = {"$id": "contact.json", **MAIL}
    schema = schema_of(D2020, "http://shop.example/order", written, **{"$defs": {"a": inner}})

    assert masks_what_it_checks(schema, {"contact.json": {"type": "integer"}})


@pytest.mark.parametrize("written", ["http://shop.example/contact.json", "./contact.json", "../contact.json#"])
def test_a_registered_reference_is_found_by_another_spelling_of_its_name(written: str) -> None:
    assert masks_what_it_checks(schema_of(D7, "http://shop.example/order", written), {"contact.json": dict(MAIL)})


@pytest.mark.parametrize("word", ["id", "$id"])
def test_the_word_of_another_draft_names_nothing(word: str) -> None:
    draft = D7 if word == "id" else D4
    schema = schema_of(draft, "http://shop.example/order", "#/definitions/a", definitions={"a": MAIL})
    schema["properties"]["mail"] = {word: "http://other.example/", "allOf": [schema["properties"]["mail"]]}

    assert masks_what_it_checks(schema)


def test_a_part_that_names_itself_behind_an_unknown_keyword_is_followed() -> None:
    schema = schema_of(D7, "http://shop.example/order", "#/$defs/contact", definitions={"a": {"type": "integer"}})
    # Draft 7 knows no `$defs`, so nobody looks for names in it; who enters by a pointer finds one.
    schema["$defs"] = {
        "contact": {"$id": "http://other.example/", "allOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": MAIL}}
    }
    resolver = ReferenceResolver(schema, {})

    targets = resolver.targets(resolver.root["$defs"]["contact"]["allOf"][0])

    assert {target.pointer for target in targets} >= {"/definitions/a"}


def test_a_published_meta_schema_marks_nothing() -> None:
    schema = schema_of(D7, None, "http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger")
    schema["properties"]["name"] = MAIL
    compiled = compile_schema(schema)

    assert not compiled.accepts({"mail": -1})
    assert compiled.personal is not None
    assert masked({"mail": 5, "name": "a"}, compiled.personal) == {"mail": 5, "name": MASK}


def test_a_name_in_a_value_is_not_taken_for_a_reference() -> None:
    schema = schema_of(D2020, None, "contact.json")
    schema["properties"]["plan"] = {"const": {"$ref": "contact.json"}}
    compiled = compile_schema(schema, {"contact.json": dict(MAIL)})

    assert compiled.accepts({"mail": "a", "plan": {"$ref": "contact.json"}})


def test_properties_called_like_keywords_that_hold_values_are_followed() -> None:
    schema = {
        "properties": {"const": {"$ref": "contact.json"}, "enum": {"properties": {"a": {"$ref": "contact.json"}}}}
    }
    compiled = compile_schema(schema, {"contact.json": dict(MAIL)})

    assert not compiled.accepts({"const": 5})
    assert compiled.personal is not None
    assert masked({"const": "a", "enum": {"a": "b"}, "x": "y"}, compiled.personal) == {
        "const": MASK,
        "enum": {"a": MASK},
        "x": "y",
    }


def test_two_references_with_one_id_and_other_contents_are_refused() -> None:
    schema = {"allOf": [{"$ref": "one.json"}, {"$ref": "two.json"}]}
    references = {"one.json": {"$id": "urn:a", "minLength": 1}, "two.json": {"$id": "urn:a", "minLength": 2}}

    with pytest.raises(BadSchema, match="have one “\\$id”, “urn:a”"):
        compile_schema(schema, references)


def test_the_place_of_a_target_is_known() -> None:
    schema = schema_of(D2020, "urn:example:order", "#a", **{"$defs": {"x/y": {"$anchor": "a"}, "b": True}})
    resolver = ReferenceResolver(schema, {})

    [target] = resolver.targets(resolver.root["properties"]["mail"])

    assert (target.schema, target.pointer) == ({"$anchor": "a"}, "/$defs/x~1y")
    assert target.document is resolver.root


def test_masking_covers_a_place_below_a_reference_that_cannot_be_followed() -> None:
    # Draft 7 ignores what stands beside a reference, so the validator does not follow the other one.
    schema = schema_of(
        D7,
        None,
        "#/definitions/a",
        definitions={"a": {"$ref": "#/definitions/b", "allOf": [{"$ref": "#/nowhere"}]}, "b": {}},
    )
    schema["definitions"]["c"] = MAIL
    schema["properties"]["other"] = {"$ref": "#/definitions/c"}
    compiled = compile_schema(schema)

    assert compiled.personal is not None
    assert masked({**EVENT, "other": "x"}, compiled.personal) == {"mail": MASK, "plan": "pro", "other": MASK}
