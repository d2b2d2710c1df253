"""The text of other programs is read by the types that the contract gives a property, wherever it says so."""

from synapse.schema.validator import DRAFTS, compile_schema
from tests.tables import for_each

D7 = DRAFTS[2]
STRING, FLAG = {"type": "string"}, {"type": "boolean"}


def types(schema, references=None):
    return {name: sorted(found) for name, found in compile_schema(schema, references).property_types.items()}


@for_each(
    "schema, expected",
    [
        (STRING, ["string"]),
        ({"type": ["null", "number"]}, ["null", "number"]),
        ({"$ref": "#/$defs/text"}, ["string"]),
        ({"$ref": "#flag"}, ["boolean"]),
        ({"$ref": "urn:example:order#/$defs/again"}, ["string"]),
        ({"$ref": "other.json"}, ["boolean"]),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["string", "boolean"]}]}, ["string"]),
        ({"anyOf": [{"$ref": "#/$defs/text"}, {"type": "null"}]}, ["null", "string"]),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, ["number"]),
        ({"allOf": [{"type": "integer"}, {"type": "number"}]}, ["integer"]),
        ({"const": "42"}, ["string"]),
        ({"enum": [True, None]}, ["boolean", "null"]),
        ({"enum": [1, 2.0]}, ["integer"]),
        ({"type": "string", "enum": ["a", 1]}, ["string"]),
        # Nothing is known: anything may stand there, or it is not said in a way that is followed.
        ({}, None),
        (True, None),
        ({"minLength": 1}, None),
        ({"anyOf": [STRING, {}]}, None),
        ({"not": STRING}, None),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, None),
    ],
)
def test_the_types_of_a_property_are_those_that_the_validator_may_accept(schema, expected):
    parts = {"text": STRING, "again": {"$ref": "#/$defs/text"}, "flag": {"$anchor": "flag", **FLAG}}
    document = {"$id": "urn:example:order", "properties": {"a": schema}, "$defs": parts}

    assert types(document, {"other.json": FLAG}).get("a") == expected


@for_each(
    "document, expected",
    [
        ({"$ref": "#/definitions/order"}, {"a": ["string"]}),
        # Older drafts ignore what stands beside a reference.
        ({"$ref": "#/definitions/order", "properties": {"b": FLAG}}, {"a": ["string"]}),
        (
            {"allOf": [{"$ref": "#/definitions/order"}, {"properties": {"b": FLAG}}]},
            {"a": ["string"], "b": ["boolean"]},
        ),
        (
            {"oneOf": [{"properties": {"a": STRING, "b": FLAG}}, {"properties": {"a": FLAG}}]},
            {"a": ["boolean", "string"]},
        ),
        ({"properties": {"a": FLAG}, "anyOf": [{}, {"properties": {"a": STRING}}]}, {"a": ["boolean"]}),
        ({"allOf": [{"$ref": "#/definitions/loop"}], "properties": {"a": STRING}}, {"a": ["string"]}),
    ],
)
def test_the_types_of_properties_are_found_below_what_the_whole_event_must_keep(document, expected):
    parts = {"order": {"properties": {"a": STRING}}, "loop": {"properties": {"a": {"anyOf": [STRING, {"$ref": "#"}]}}}}

    assert types({"$schema": D7, **document, "definitions": parts}) == expected


def test_a_property_that_very_many_parts_describe_may_have_any_type():
    parts = {f"p{number}": {"anyOf": [{"$ref": f"#/$defs/p{number + 1}"}] * 2} for number in range(9)}
    document = {"properties": {"a": {"$ref": "#/$defs/p0"}, "b": STRING}, "$defs": {**parts, "p9": STRING}}

    assert types(document) == {"b": ["string"]}
