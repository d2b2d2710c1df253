"""Documents that are written for a schema, for people to start from."""

from pathlib import Path

import jsonschema_rs

from synapse.inspection.sample import make_sample
from tests import yaml_files
from tests.tables import for_each

PLATFORM = yaml_files.read(Path(__file__).parents[2] / "catalog" / "deepiri.yaml")
SCHEMAS = [each["schema"] for stream in PLATFORM["streams"] for each in stream["event_types"] if "schema" in each]
NESTED = {
    "type": "object",
    "required": ["id", "lines", "kind", "at", "code", "who"],
    "properties": {
        "id": {"type": "string", "minLength": 8, "maxLength": 9},
        "lines": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/line"}},
        "kind": {"enum": ["a", "b"]},
        "at": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
        "who": {
            "anyOf": [
                {"type": "object", "required": ["n"], "properties": {"n": {"exclusiveMinimum": 3, "type": "integer"}}}
            ]
        },
    },
    "$defs": {
        "line": {"type": "object", "required": ["n"], "properties": {"n": {"type": ["integer", "null"], "minimum": 5}}}
    },
}


@for_each("schema", [NESTED, *SCHEMAS])
def test_a_sample_keeps_its_schema(schema):
    assert jsonschema_rs.validator_for(schema).is_valid(make_sample(schema))


@for_each(
    "schema",
    [
        True,
        {},
        {"$ref": "#"},
        {"$ref": "https://a.example/x"},
        {"type": "array", "minItems": 10**9, "items": {"$ref": "#"}},
        {"required": [str(n) for n in range(50)], "properties": {str(n): {"$ref": "#"} for n in range(50)}},
        {"type": "string", "minLength": 10**9},
    ],
)
def test_a_schema_that_says_little_or_leads_in_circles_has_a_sample_too(schema):
    make_sample(schema)
