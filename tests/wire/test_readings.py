"""The text of other programs is read as the contract accepts it, where the types of its properties do not decide."""

import json

import pytest

from synapse.formats import exact_json
from synapse.schema.validator import compile_schema
from synapse.wire import encoding
from synapse.wire.encoding import TypesOfContract

STRING, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
KIND = {"kind": {"const": "count"}}
CODE = {"oneOf": [{"type": "string", "pattern": "^[A-Z]+$"}, {"type": "integer"}]}
BIG = '{"id":18446744073709551617,"exact":9007199254740993,"price":0.1234567890123456789,"deep":[1.5]}'


def read(schema, **texts):
    compiled = compile_schema(schema)
    types = {"a": TypesOfContract(compiled.property_types, compiled.accepted_reading)}
    decoded = encoding.decode_texts({"event_type": "a", **texts}, types_of=types)
    assert decoded.layout == "foreign"
    return {name: value for name, value in decoded.event.items() if name != "event_type"}


@pytest.mark.parametrize(
    ("schema", "texts", "expected"),
    [
        # Types decide, behind a reference too.
        ({"properties": {"n": {"oneOf": [STRING, NUMBER]}}}, {"n": "42"}, {"n": "42"}),
        ({"properties": {"n": {"$ref": "#/$defs/s"}}, "$defs": {"s": STRING}}, {"n": "42"}, {"n": "42"}),
        # The text is what the alternatives accept.
        ({"properties": {"n": CODE}}, {"n": "42"}, {"n": 42}),
        ({"properties": {"n": CODE}}, {"n": "AB"}, {"n": "AB"}),
        ({"properties": {"n": {"anyOf": [FLAG, {**STRING, "maxLength": 3}]}}}, {"n": "True"}, {"n": True}),
        ({"properties": {"n": {"type": ["string", "null"], "minLength": 1}}}, {"n": ""}, {"n": None}),
        # Names that a pattern, or nothing, describes.
        ({"patternProperties": {"^ref": STRING}}, {"ref_1": "42", "n": "42"}, {"ref_1": "42", "n": 42}),
        ({"patternProperties": {"^is_": FLAG}}, {"is_paid": "False"}, {"is_paid": False}),
        ({"additionalProperties": STRING}, {"a": "1", "b": "true", "c": "x"}, {"a": "1", "b": "true", "c": "x"}),
        ({"unevaluatedProperties": STRING}, {"a": "1"}, {"a": "1"}),
        # What another property says.
        (
            {"if": {"properties": KIND}, "then": {"properties": {"v": NUMBER}}, "else": {"properties": {"v": STRING}}},
            {"kind": "name", "v": "7"},
            {"kind": "name", "v": "7"},
        ),
        (
            {"if": {"properties": KIND}, "then": {"properties": {"v": NUMBER}}, "else": {"properties": {"v": STRING}}},
            {"kind": "count", "v": "7"},
            {"kind": "count", "v": 7},
        ),
        (
            {
                "oneOf": [
                    {"properties": {"kind": {"const": kind}, "v": each}, "required": ["kind"]}
                    for kind, each in (("count", NUMBER), ("name", STRING), ("flag", FLAG))
                ]
            },
            {"kind": "flag", "v": "True"},
            {"kind": "flag", "v": True},
        ),
        (
            {"dependentSchemas": {"kind": {"properties": {"v": STRING}}}},
            {"kind": "k", "v": "1"},
            {"kind": "k", "v": "1"},
        ),
        # A required text that reads as no value.
        ({"required": ["n"], "patternProperties": {"n": STRING}}, {"n": "null"}, {"n": "null"}),
        # An integer of any length, where a number is wanted.
        ({"properties": {"n": {"type": "integer"}}}, {"n": "18446744073709551617"}, {"n": 18446744073709551617}),
        ({"properties": {"n": STRING}}, {"n": "18446744073709551617"}, {"n": "18446744073709551617"}),
        # Nothing is accepted: as if there were no contract.
        ({"patternProperties": {"n": {**NUMBER, "minimum": 50}}}, {"n": "42", "m": "1"}, {"n": 42, "m": 1}),
        ({"properties": {"n": FLAG}}, {"n": "perhaps"}, {"n": "perhaps"}),
    ],
)
def test_a_text_is_read_as_its_contract_accepts_it(schema, texts, expected):
    assert json.loads(exact_json.dumps(read(schema, **texts))) == expected


def test_numbers_inside_a_json_text_keep_their_digits():
    found = read({"properties": {"data": {"type": "object"}}}, data=BIG)

    assert exact_json.dumps(found["data"]).decode() == BIG


def test_ten_thousand_texts_of_which_none_is_accepted_take_few_tries(monkeypatch):
    compiled = compile_schema({"additionalProperties": {"minimum": 5, "type": "number"}})
    asked = []
    monkeypatch.setattr(type(compiled), "accepts_at_once", lambda _, event, *_length: bool(asked.append(event)))
    types = {"a": TypesOfContract(compiled.property_types, compiled.accepted_reading)}

    decoded = encoding.decode_texts({"event_type": "a", **{f"n{n}": "1" for n in range(10_000)}}, types_of=types)

    assert decoded.event["n1"] == 1
    assert len(asked) <= 9
