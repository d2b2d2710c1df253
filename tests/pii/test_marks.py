"""The places of an event that a schema marks as PII, through references, unions and any other keyword."""

from collections.abc import Mapping
from typing import Any

import pytest

from synapse.schema.pii import MASK, masked
from synapse.schema.validator import DRAFTS, compile_schema
from tests.tables import for_each

PII: Mapping[str, Any] = {"x-pii": True}
EMAIL: Mapping[str, Any] = {"properties": {"email": {"type": "string", "x-pii": True}}}
ANNA = {"email": "anna@example.org", "plan": "pro"}
HIDDEN = {"email": MASK, "plan": "pro"}


def seen(schema: Mapping[str, Any], event: Any, references: Mapping[str, Any] | None = None) -> Any:
    marks = compile_schema(schema, references).personal
    return event if marks is None else masked(event, marks)


@for_each(
    "schema, event, expected",
    [
        # A property, an object within an object, an object as a whole.
        (EMAIL, ANNA, HIDDEN),
        ({"properties": {"user": EMAIL}}, {"user": ANNA}, {"user": HIDDEN}),
        ({"properties": {"user": PII}}, {"user": ANNA}, {"user": {"email": MASK, "plan": MASK}}),
        (PII, ANNA, {"email": MASK, "plan": MASK}),
        # Arrays: of every draft's words.
        ({"properties": {"users": {"items": EMAIL}}}, {"users": [ANNA, ANNA]}, {"users": [HIDDEN, HIDDEN]}),
        ({"properties": {"names": {"items": PII}}}, {"names": ["a", 1, None]}, {"names": [MASK, MASK, None]}),
        ({"properties": {"row": {"prefixItems": [{}, PII]}}}, {"row": ["a", "b", "c"]}, {"row": ["a", MASK, "c"]}),
        (
            {"properties": {"row": {"prefixItems": [{}], "items": PII}}},
            {"row": ["a", "b"]},
            {"row": [MASK, MASK]},  # what comes before the rest is taken for it: on the safe side
        ),
        ({"properties": {"row": {"contains": PII}}}, {"row": ["a"]}, {"row": [MASK]}),
        ({"properties": {"row": {"unevaluatedItems": PII}}}, {"row": ["a"]}, {"row": [MASK]}),
        # Names that are a pattern's, and names that nobody knows.
        ({"patternProperties": {"^user_": PII}}, {"user_a": "Anna", "id": "7"}, {"user_a": MASK, "id": "7"}),
        (
            {"properties": {"id": {}}, "patternProperties": {"^x_": {}}, "additionalProperties": PII},
            {"id": "7", "x_y": "z", "name": "Anna"},
            {"id": "7", "x_y": "z", "name": MASK},
        ),
        ({"properties": {"id": {}}, "unevaluatedProperties": PII}, {"id": 7, "name": "Anna"}, {"id": 7, "name": MASK}),
        # What is said of the same place by several parts.
        ({"allOf": [{"properties": {"plan": {}}}, EMAIL]}, ANNA, HIDDEN),
        ({"anyOf": [{"required": ["id"]}, EMAIL]}, ANNA, HIDDEN),
        ({"oneOf": [EMAIL, {"required": ["id"]}]}, ANNA, HIDDEN),
        ({"if": {"required": ["plan"]}, "then": EMAIL}, ANNA, HIDDEN),
        ({"if": {"required": ["id"]}, "else": EMAIL}, ANNA, HIDDEN),
        ({"dependentSchemas": {"plan": EMAIL}}, ANNA, HIDDEN),
        ({"properties": {"user": {"properties": {"plan": {}}}}, "allOf": [{"properties": {"user": EMAIL}}]},
         {"user": ANNA}, {"user": HIDDEN}),
        # References: into the schema, by a name, to the schema itself.
        ({"$ref": "#/$defs/user", "$defs": {"user": EMAIL}}, ANNA, HIDDEN),
        ({"$ref": "#user", "$defs": {"user": {"$anchor": "user", **EMAIL}}}, ANNA, HIDDEN),
        (
            {"properties": {"friend": {"$ref": "#"}, "email": PII}},
            {"email": "a", "friend": {"email": "b", "friend": {"email": "c", "id": 1}}},
            {"email": MASK, "friend": {"email": MASK, "friend": {"email": MASK, "id": 1}}},
        ),
        (
            {
                "$dynamicAnchor": "node",
                "properties": {"kids": {"items": {"$dynamicRef": "#node"}}, "name": PII},
            },
            {"kids": [{"name": "Anna", "age": 3}]},
            {"kids": [{"name": MASK, "age": 3}]},
        ),
        # JSON in a text.
        ({"properties": {"note": {"contentSchema": EMAIL}}}, {"note": '{"email": "a"}'}, {"note": MASK}),
        # Not a mark: no, nothing, an example of a schema.
        ({"properties": {"email": {"x-pii": False}}}, ANNA, ANNA),
        ({"properties": {"email": {"x-pii": None}}}, ANNA, ANNA),
        ({"examples": [{"email": {"x-pii": True}}], "properties": {"email": {}}}, ANNA, ANNA),
        # Any other value says what kind it is.
        ({"properties": {"email": {"x-pii": "contact"}}}, ANNA, HIDDEN),
    ],
)  # fmt: skip
def test_a_mark_is_found(schema: Mapping[str, Any], event: Any, expected: Any) -> None:
    assert seen(schema, event) == expected


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_draft_can_mark(draft: str) -> None:
    schema = {"$schema": draft, "properties": {"user": {"$ref": "#/definitions/user"}}, "definitions": {"user": EMAIL}}

    assert seen(schema, {"user": ANNA}) == {"user": HIDDEN}


def test_a_mark_in_a_schema_that_is_referred_to_counts() -> None:
    schema = {"properties": {"user": {"$ref": "user.json"}}}

    assert seen(schema, {"user": ANNA}, {"user.json": dict(EMAIL)}) == {"user": HIDDEN}


def test_a_schema_without_marks_has_none() -> None:
    assert compile_schema({"properties": {"email": {"type": "string"}}}).personal is None


def test_an_unused_definition_marks_no_place() -> None:
    assert compile_schema({"$defs": {"user": EMAIL}, "properties": {"id": {}}}).personal is None


def test_a_place_that_very_many_parts_describe_is_pii_as_a_whole() -> None:
    schema = {"allOf": [{"properties": {f"a{number}": PII}} for number in range(300)]}

    assert seen(schema, {"id": "7"}) == {"id": MASK}


def test_a_property_name_is_never_tried_against_a_pattern_in_exponential_time() -> None:
    schema = {"patternProperties": {"^(a|a)*$": PII}}

    assert seen(schema, {"a" * 5000 + "!": "x"}) == {"a" * 5000 + "!": "x"}
