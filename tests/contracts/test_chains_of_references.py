"""Chains of references of all styles, mixed: masking ends where the validator ends, in a marked text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.schema.pii import MASK, masked
from synapse.schema.references import CannotFollow, ReferenceResolver
from synapse.schema.validator import DRAFTS, compile_schema
from tests.tables import for_each

D4, D6, D7, D2019, D2020 = reversed(DRAFTS)
ADDRESSES = [
    *(None, "http://shop.example/a/order", "HTTPS://Shop.example/order#", "urn:example:order", "parts/order.json"),
    *("tag:example.com,2024:order", "iglu:com.example/order/jsonschema/1-0-0", "/a/order.json"),
]
KEYS = {"a": "a", "a/b": "a~1b", "a~b": "a~0b", "a b": "a%20b", "%41": "%2541", "ü": "%C3%BC", "$ref": "$ref", "0": "0"}
STYLES = ("pointer", "written out", "anchor", "part with an id", "part with a relative id", "registered")
WRAPPINGS = ("allOf", "anyOf", "oneOf", "not", "then", "plain")


class Resource:
    """A schema with an address of its own, and with decoys at the places that mean another resource."""

    def __init__(self, draft: str, address: str | None) -> None:
        self.word = "id" if draft == D4 else "$id"
        self.draft, self.address = draft, address
        self.schema: dict[str, Any] = {"definitions": {key: {"type": "integer"} for key in KEYS}}
        if address is not None:
            self.schema[self.word] = address

    def anchored(self, name: str) -> dict[str, str]:
        if self.draft in (D2019, D2020):
            return {"$anchor": name}
        return {self.word: f"#{name}"}


def wrapped(reference: str, wrapping: str, draft: str) -> dict[str, Any]:
    part = {"$ref": reference}
    if wrapping == "not":
        return {"not": {"not": part}}
    if wrapping == "then" and draft not in (D4, D6):
        return {"if": {"type": ["string", "integer"]}, "then": part}
    # Beside `$ref`, older drafts would see nothing else.
    return {wrapping if wrapping in ("allOf", "anyOf", "oneOf") else "allOf": [part]}


@st.composite
def schemas_with_chains(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a schema whose property `mail` leads to a marked text through some references, with the schemas it needs."""
    draft = draw(st.sampled_from(DRAFTS))
    here = Resource(draft, draw(st.sampled_from(ADDRESSES)))
    schema, references = here.schema, {}
    schema["$schema"] = draft
    part: dict[str, Any] = {}
    schema["properties"] = {"mail": part, "plan": {}}
    styles = draw(st.lists(st.sampled_from(STYLES), min_size=1, max_size=5))
    for number, (style, key) in enumerate(zip(styles, draw(st.permutations([*KEYS])), strict=False)):
        following: dict[str, Any] = {}
        reference, there = f"#/definitions/{KEYS[key]}", here
        if style == "anchor":
            following, reference = here.anchored(f"n{number}"), f"#n{number}"
        elif style == "written out" and here.address and ":" in here.address:
            reference = here.address.rstrip("#") + reference
        elif style == "part with an id" or (style == "part with a relative id" and here.address is None):
            there = Resource(here.draft, f"urn:example:part{number}")
            following, reference = there.schema, f"urn:example:part{number}"
        elif style == "part with a relative id" and "/" in str(here.address) and "iglu" not in str(here.address):
            there = Resource(here.draft, f"part{number}.json")
            following, reference = there.schema, f"part{number}.json"
        elif style == "registered":
            own = draw(
                st.sampled_from([None, f"urn:example:r{number}", f"http://reg.example/r{number}", f"parts/r{number}"])
            )
            there = Resource(draw(st.sampled_from(DRAFTS)), own)
            there.schema["$schema"] = there.draft
            following, reference = there.schema, f"r{number}.json"
            references[reference] = following
        if style != "registered":
            here.schema["definitions"][key] = following
        part.update(wrapped(reference, draw(st.sampled_from(WRAPPINGS)), here.draft))
        part, here = following, there
    part.update({"type": "string", "x-pii": True, "properties": {"again": {"allOf": [{"$ref": "#"}]}}})
    return schema, references


@given(schemas_with_chains())
def test_a_chain_of_references_ends_for_masking_where_it_ends_for_the_validator(made):
    compiled = compile_schema(*made)

    assert compiled.accepts({"mail": "a@example.org", "plan": 5})
    assert not compiled.accepts({"mail": 5, "plan": 5}), "the example does not lead to a text"
    assert compiled.personal is not None
    assert masked({"mail": "a@example.org", "plan": "pro"}, compiled.personal) == {"mail": MASK, "plan": "pro"}


def parts_of(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a JSON value."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(part for each in held for part in parts_of(each))]


def answers_of(resolver: ReferenceResolver) -> list[Any]:
    """Return all that a resolver says of each part of its schemas; None of what nothing refers to."""
    return [
        answer_of(resolver, part)
        for document in (resolver.root, *resolver.documents.values())
        for part in parts_of(document)
    ]


def answer_of(resolver: ReferenceResolver, part: dict[str, Any]) -> Any:
    """Return which references a part has, where they lead, and whether it is nothing else."""
    try:
        keywords, is_reference = resolver.keywords(part), resolver.ignores_siblings(part)
    except CannotFollow:
        return None
    try:
        targets = [(each.schema, each.document, each.pointer) for each in resolver.possible_targets(part)]
    except CannotFollow:
        targets = []
    return keywords, targets, is_reference


def assert_followed_alike(schema: dict[str, Any], references: dict[str, Any]) -> None:
    """Assert that a resolver and the library say the same of all that is in reach."""
    ours, theirs = answers_of(ReferenceResolver(schema, references)), answers_of(by_the_library(schema, references))
    assert [one for one, other in zip(ours, theirs, strict=True) if other] == [each for each in theirs if each]


def by_the_library(schema: dict[str, Any], references: dict[str, Any]) -> ReferenceResolver:
    """Return a resolver that follows no reference by itself."""
    resolver = ReferenceResolver(schema, references)
    vars(resolver)["_plain"] = {}
    return resolver


@given(schemas_with_chains())
def test_a_json_pointer_is_followed_to_where_the_library_follows_it(made):
    assert_followed_alike(*made)


LOCAL = {"$ref": "#/definitions/a"}
MAY_BE_PLAIN = {
    "a pointer": {"allOf": [LOCAL]},
    "a pointer into a list": {"allOf": [{"type": "string"}, {"$ref": "#/allOf/0"}, {"$ref": "#/allOf/00"}]},
    "a pointer to true": {"definitions": {"a": True}, "allOf": [LOCAL]},
    "a pointer to a value": {"definitions": {"a": 5}, "allOf": [LOCAL]},
    "a pointer to nowhere": {"not": {"$ref": "#/definitions/b"}},
    "the whole": {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#/"}}},
    "siblings": {"properties": {"a": {**LOCAL, "minLength": 2}}},
    "a property called $ref": {"properties": {"$ref": {"type": "string"}, "id": LOCAL}},
    "a property called $id": {"properties": {"$id": LOCAL, "$schema": LOCAL}},
    "an id in a value": {"properties": {"a": {"const": {"$id": "urn:b:c"}, "allOf": [LOCAL]}}},
    "a reference in a value": {"properties": {"a": {"enum": [{"$ref": "part.json"}], "allOf": [LOCAL]}}},
    "an id inside": {"properties": {"a": {"$id": "urn:b:c", "definitions": {"a": {"type": "null"}}, "allOf": [LOCAL]}}},
    "an id inside of draft 4": {"properties": {"a": {"id": "urn:b:c", "definitions": {"a": {}}, "allOf": [LOCAL]}}},
    "a dynamic anchor": {"$dynamicAnchor": "a", "allOf": [LOCAL, {"$dynamicRef": "#a"}]},
    "a recursive anchor": {"$recursiveAnchor": True, "properties": {"a": {"$recursiveRef": "#"}, "b": LOCAL}},
    "escapes": {"definitions": {"a/b": {}, "a b": {}}, "allOf": [{"$ref": "#/definitions/a~1b"}]},
    "an anchor": {"definitions": {"a": {"$anchor": "a"}}, "allOf": [{"$ref": "#a"}, LOCAL]},
    "an address": {
        "$id": "https://example.test/a",
        "allOf": [{"$ref": "https://example.test/a#/definitions/a"}, LOCAL],
    },
    "a name with a fragment": {"$id": "https://example.test/a#b", "allOf": [LOCAL]},
    "a registered schema": {"allOf": [{"$ref": "part.json"}, {"$ref": "part.json#/definitions/a"}, LOCAL]},
    "a registered schema by another name": {"allOf": [{"$ref": "./part.json"}, LOCAL]},
    "a published schema": {"allOf": [{"$ref": "http://json-schema.org/draft-07/schema#"}, LOCAL]},
}


@pytest.mark.product("draft", "hashes")
@pytest.mark.parametrize("hashes", ["", "#"])
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("schema", MAY_BE_PLAIN.values(), ids=MAY_BE_PLAIN.keys())
def test_references_are_followed_alike_with_and_without_the_library(schema, draft, hashes):
    schema = {"$schema": draft + hashes, "definitions": {"a": {"type": "string"}}, **schema}
    part = {"definitions": {"a": {"type": "integer"}}, "allOf": [LOCAL], "minLength": 1}
    references = {"part.json": part} if "part.json" in str(schema) else {}

    assert_followed_alike(schema, references)


# How a part is applied, and which event has a value there: its marked place, then the same event masked.
APPLIED = {
    "allOf": (lambda ref: {"allOf": [{}, ref]}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "anyOf": (lambda ref: {"anyOf": [{"required": ["z"]}, ref]}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "oneOf": (lambda ref: {"oneOf": [ref, {"required": ["z"]}]}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "not": (lambda ref: {"not": {"not": ref}}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "if": (lambda ref: {"if": ref}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "then": (lambda ref: {"if": {"required": ["b"]}, "then": ref}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "else": (lambda ref: {"if": {"required": ["z"]}, "else": ref}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "dependentSchemas": (lambda ref: {"dependentSchemas": {"b": ref}}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}),
    "properties": (lambda ref: {"properties": {"p": ref}}, {"p": {"a": "x", "b": "y"}}, {"p": {"a": MASK, "b": "y"}}),
    "patternProperties": (
        lambda ref: {"patternProperties": {"^p": ref}},
        {"p1": {"a": "x", "b": "y"}, "q": "z"},
        {"p1": {"a": MASK, "b": "y"}, "q": "z"},
    ),
    "additionalProperties": (
        lambda ref: {"properties": {"q": {}}, "additionalProperties": ref},
        {"p": {"a": "x", "b": "y"}, "q": {"a": "z"}},
        {"p": {"a": MASK, "b": "y"}, "q": {"a": "z"}},
    ),
    "unevaluatedProperties": (
        lambda ref: {"properties": {"q": {}}, "unevaluatedProperties": ref},
        {"p": {"a": "x", "b": "y"}, "q": {"a": "z"}},
        {"p": {"a": MASK, "b": "y"}, "q": {"a": "z"}},
    ),
    "items": (
        lambda ref: {"properties": {"p": {"items": ref}}},
        {"p": [{"a": "x", "b": "y"}]},
        {"p": [{"a": MASK, "b": "y"}]},
    ),
    "prefixItems": (
        lambda ref: {"properties": {"p": {"prefixItems": [{}, ref]}}},
        {"p": [{"a": "x"}, {"a": "x", "b": "y"}]},
        {"p": [{"a": "x"}, {"a": MASK, "b": "y"}]},
    ),
    "contains": (lambda ref: {"properties": {"p": {"contains": ref}}}, {"p": [{"a": "x"}]}, {"p": [{"a": MASK}]}),
    "unevaluatedItems": (
        lambda ref: {"properties": {"p": {"unevaluatedItems": ref}}},
        {"p": [{"a": "x", "b": "y"}]},
        {"p": [{"a": MASK, "b": "y"}]},
    ),
    # Names are never masked, so a mark on them is none on what stands under them.
    "propertyNames": (lambda ref: {"propertyNames": ref, "x-pii": False}, {"a": "x"}, {"a": "x"}),
}
REFERENCES = ("#/$defs/part", "#part", "urn:example:order#part", "urn:example:order#/$defs/part", "part.json")


@for_each("reference", REFERENCES)
@for_each("keyword", APPLIED)
def test_a_mark_is_found_behind_a_reference_in_every_keyword_that_applies_a_schema(keyword, reference):
    applied, event, expected = APPLIED[keyword]
    part = {"properties": {"a": {"x-pii": True}, "deeper": {"$ref": "#"}}}
    schema = {
        "$id": "urn:example:order",
        **applied({"$ref": reference}),
        "$defs": {"part": {"$anchor": "part", **part}},
    }

    marks = compile_schema(schema, {"part.json": part}).personal

    assert (masked(event, marks) if marks else event) == expected


@for_each("draft", DRAFTS)
def test_a_mark_is_found_at_every_depth_of_a_tree_whose_schemas_mean_each_other(draft):
    word = "id" if draft == D4 else "$id"
    leaf = {
        "$schema": draft,
        word: "urn:example:leaf",
        "properties": {"tree": {"$ref": "tree.json"}, "a": {"x-pii": True}},
    }
    tree = {"$schema": draft, "properties": {"left": {"$ref": "leaf.json"}, "right": {"$ref": "#"}, "b": {}}}
    schema = {"$schema": draft, word: "urn:example:root", "properties": {"tree": {"$ref": "tree.json"}}}
    references = {"leaf.json": leaf, "tree.json": tree}
    event = {"tree": {"right": {"right": {"left": {"a": "x", "tree": {"left": {"a": "y"}, "b": "z"}}}}}}

    marks = compile_schema(schema, references).personal

    assert marks is not None
    assert masked(event, marks) == {
        "tree": {"right": {"right": {"left": {"a": MASK, "tree": {"left": {"a": MASK}, "b": "z"}}}}}
    }


@pytest.mark.parametrize(("draft", "anchor", "reference"), [
    (D2020, {"$dynamicAnchor": "node"}, {"$dynamicRef": "#node"}),
    (D2019, {"$recursiveAnchor": True}, {"$recursiveRef": "#"}),
])  # fmt: skip
def test_a_mark_is_found_wherever_a_dynamic_reference_may_lead(draft, anchor, reference):
    tree = {
        "$schema": draft,
        "$id": "urn:example:tree",
        **anchor,
        "properties": {"kids": {"items": reference}, "b": {}},
    }
    schema = {
        "$schema": draft,
        "$id": "urn:example:marked",
        **anchor,
        "allOf": [{"$ref": "tree.json"}],
        "properties": {"a": {"type": "string", "x-pii": True}},
    }
    compiled = compile_schema(schema, {"tree.json": tree})
    event = {"kids": [{"a": "x", "b": "y", "kids": [{"a": "z"}]}]}

    assert not compiled.accepts({"kids": [{"a": 5}]})
    assert compiled.personal is not None
    assert masked(event, compiled.personal) == {"kids": [{"a": MASK, "b": "y", "kids": [{"a": MASK}]}]}
