"""Chains of references of all styles, mixed: masking ends where the validator ends, in a marked text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.personal import MASK, masked
from contracts.schemas import DRAFTS, compile_schema

D4, D6, D7, D2019, D2020 = reversed(DRAFTS)
ADDRESSES = [
    *(None, "http://shop.example/a/order", "HTTPS://Shop.example/order#", "urn:example:order", "parts/order.json"),
    *("tag:example.com,2024:order", "iglu:com.example/order/jsonschema/1-0-0", "/a/order.json"),
]
KEYS = {"a": "a", "a/b": "a~1b", "a~b": "a~0b", "a b": "a%20b", "%41": "%2541", "ü": "%C3%BC", "$ref": "$ref", "0": "0"}
STYLES = ("pointer", "written out", "anchor", "part with an id", "part with a relative id", "registered")
WRAPPINGS = ("allOf", "anyOf", "oneOf", "not", "then", "plain")


class Resource:
    """A schema with an address of its own, and with decoys where another resource has what is meant."""

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


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("keyword", APPLIED)
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


@pytest.mark.parametrize("draft", DRAFTS)
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
