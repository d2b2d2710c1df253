"""A schema is hostile until proven otherwise; an event that breaks one is told why in words."""

import pytest

from synapse.errors.contracts import BadSchema
from synapse.schema import validator
from tests.tables import for_each

BAD_SCHEMAS = {
    "no JSON": ("{oops", "Not valid JSON"),
    "a key twice": ('{"type":"object","type":"array"}', "appears twice"),
    "a list": ("[]", "a JSON object"),
    "true": ("true", "a JSON object"),
    "too large": ('{"title":"' + "x" * 65_536 + '"}', "at most 65536"),
    "an unknown type": ('{"type":"objekt"}', 'no type "objekt". There are array, boolean, integer, null, number'),
    "a type that is nearly one": ('{"items":{"type":"objekt"}}', "“object” may be meant"),
    "a type by another language's name": ('{"properties":{"type":{"type":"float"}}}', "“number” may be meant"),
    "a short name of a type": ('{"type":["null","int"]}', "“integer” may be meant"),
    "a type like nothing": ('{"type":"qqqq"}', "number, object, string."),
    "a type that is a number": ('{"type":5}', "no type 5"),
    "a type twice": ('{"type":["string","string"]}', "a list of different ones"),
    "no type": ('{"type":[]}', "a list of different ones"),
    "a property called type that is no schema": ('{"properties":{"type":"objekt"}}', "is not of types"),
    "a number beyond a double": ('{"maximum":1e400}', "send it as a string"),
    "properties that are no object": ('{"properties":3}', "Not a valid JSON Schema"),
    "a remote reference": ('{"$ref":"http://127.0.0.1:9/x"}', "nothing is ever fetched"),
    "a file reference": ('{"properties":{"a":{"$ref":"file:///etc/passwd"}}}', "nothing is ever fetched"),
    "a relative reference under a base": ('{"$id":"http://h/a","properties":{"a":{"$ref":"b"}}}', "nothing is ever"),
    "a reference to nowhere": ('{"$ref":"#/$defs/x"}', "does not exist"),
    "a reference to itself": ('{"$ref":"#"}', "check nothing"),
    "a strange draft": ('{"$schema":"http://127.0.0.1:9/draft"}', "must be one of"),
    "a draft that is a number": ('{"$schema":5}', "must be one of"),
    "look-around": ('{"pattern":"(?=a)b"}', "look-around is not taken"),
    "a broken pattern": ('{"properties":{"a":{"pattern":"("}}}', "a group is not closed"),
    "a pattern that explodes": ('{"pattern":"((a{1,1000}){1,1000}){1,1000}"}', ""),
}


@for_each("text, reason", BAD_SCHEMAS.values())
def test_a_bad_schema_is_refused_with_a_reason(text, reason):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema(validator.parse_schema(text))

    assert reason in refused.value.detail


@for_each("draft", validator.DRAFTS)
def test_every_published_draft_is_understood(draft):
    compiled = validator.compile_schema({"$schema": draft, "required": ["a"]})

    assert compiled.accepts({"a": 1})
    assert not compiled.accepts({})


def test_a_schema_without_a_draft_is_of_2020_12():
    compiled = validator.compile_schema({"prefixItems": [{"type": "string"}]})

    assert not compiled.accepts([1])


def test_a_pattern_that_backtracking_engines_are_slow_for_is_matched_fast():
    compiled = validator.compile_schema({"pattern": "^(a+)+$"})

    assert not compiled.accepts("a" * 50_000 + "!")


SENTENCES = [
    ({"type": "integer"}, "five", 'must be of type integer, but is a string ("five")'),
    ({"type": ["null", "number"]}, [1], "must be of type null or number, but is an array"),
    ({"minimum": 0}, -1, "must be 0 or more, but is -1"),
    ({"exclusiveMaximum": 10}, 10, "must be less than 10, but is 10"),
    ({"maxLength": 2}, "abc", "must have 2 characters or fewer, but has 3"),
    ({"minItems": 1}, [], "must have 1 items or more, but has 0"),
    ({"enum": ["a", "b", 3]}, "c", 'must be "a", "b" or 3, but is "c"'),
    ({"const": True}, False, "must be true, but is false"),
    ({"pattern": "^[a-z]+$"}, "A", 'must match ^[a-z]+$, but is "A"'),
    ({"format": "email"}, "x", 'must be a valid email, but is "x"'),
    ({"multipleOf": 5}, 7, "must be a multiple of 5, but is 7"),
    ({"uniqueItems": True}, [1, 1], "must not hold the same item twice"),
    ({"required": ["b"]}, {}, "must have the property “b”"),
    ({"additionalProperties": False}, {"z": 1}, "has properties that its contract does not allow"),
    (
        {"properties": {"b": {}}, "additionalProperties": False},
        {"z": 1},
        "has properties that its contract does not allow: “z”",
    ),
    ({"propertyNames": {"maxLength": 1}}, {"zz": 1}, "has a property whose name is not allowed"),
    ({"not": {}}, 1, "has a form that its contract forbids"),
    ({"anyOf": [{"type": "null"}]}, 1, "fits none of the forms that its contract allows"),
    ({"contains": {"const": 1}}, [2], "does not hold the items that its contract asks for"),
]


@for_each("schema, value, words", SENTENCES)
def test_a_violation_is_a_sentence(schema, value, words):
    (violation,) = validator.compile_schema({"properties": {"a": schema}}).violations({"a": value})

    assert violation.message.startswith(f"“a” {words}")
    assert violation.pointer == "/a"


def test_pointers_are_escaped():
    (violation,) = validator.compile_schema({"properties": {"a/b~c": {"type": "null"}}}).violations({"a/b~c": 1})

    assert violation.pointer == "/a~1b~0c"
    assert violation.schema_pointer == "/properties/a~1b~0c/type"


def test_a_hopeless_event_has_a_bounded_number_of_violations():
    compiled = validator.compile_schema({"items": {"type": "null"}})

    assert len(compiled.violations([1] * 10_000)) == validator.MAX_VIOLATIONS


def test_the_types_of_properties_are_read_from_the_schema():
    compiled = validator.compile_schema({"properties": {"a": {"type": ["null", "number"]}, "b": True, "c": {}}})

    assert compiled.property_types == {"a": frozenset({"null", "number"})}


@for_each(
    "document, draft, pointer",
    [
        ({"properties": {"p": {"items": [{}], "additionalItems": False}}}, "draft-07/schema", "/properties/p/items"),
        ({"items": [{"type": "string"}]}, "draft-07/schema", "/items"),
        ({"minimum": 0, "exclusiveMinimum": True}, "draft-04/schema", "/exclusiveMinimum"),
        ({"maximum": 0, "exclusiveMaximum": False}, "draft-04/schema", "/exclusiveMaximum"),
    ],
)
def test_a_keyword_of_an_older_draft_without_schema_is_refused_with_the_draft_to_name(document, draft, pointer):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema(document)

    assert refused.value.members["pointer"] == pointer
    assert "“$schema” is missing" in refused.value.detail
    assert f'"http://json-schema.org/{draft}"' in refused.value.detail
    validator.compile_schema({**document, "$schema": f"http://json-schema.org/{draft}"})


@pytest.mark.parametrize("schema", [{"$ref": "#/definitions/none"}, {"$ref": "#none"}, {"$dynamicRef": "#x"}])
def test_no_older_draft_is_named_for_a_reference_that_leads_nowhere(schema):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema(schema)

    assert "$schema" not in refused.value.detail


@pytest.mark.parametrize("document", [{"type": "objec"}, {"properties": []}, {"items": [{"type": 5}]}])
def test_the_refusal_of_a_schema_that_is_valid_in_no_draft_names_no_draft(document):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema(document)

    assert "$schema" not in refused.value.detail


@for_each(
    "written, meant",
    [
        ("https://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-07/schema"),
        ("https://json-schema.org/draft-04/schema", "http://json-schema.org/draft-04/schema"),
        ("http://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema"),
        ("http://json-schema.org/draft/2019-09/schema#", "https://json-schema.org/draft/2019-09/schema"),
    ],
)
def test_a_draft_by_the_other_scheme_is_refused_with_the_identifier_to_write(written, meant):
    with pytest.raises(BadSchema, match=f"the one of this draft is “{meant}”") as refused:
        validator.compile_schema({"$schema": written})

    assert refused.value.members["pointer"] == "/$schema"
    validator.compile_schema({"$schema": meant})


@for_each("written", ["http://json-schema.org/schema#", "https://example.com/draft-07/schema", "", 5])
def test_an_unknown_draft_is_refused_with_those_that_there_are(written):
    with pytest.raises(BadSchema, match="must be one of"):
        validator.compile_schema({"$schema": written})
