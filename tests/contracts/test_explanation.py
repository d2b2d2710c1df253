"""Why an event breaks its contract is told within a budget, and names the place that is wrong."""

import pytest

from synapse.schema import validator as schema_validator
from synapse.schema.explanation import Explainer, finding_of
from tests.patience import that_ends
from tests.tables import for_each

OPERATORS = ("add", "subtract", "multiply", "divide")


def expressions(**head):
    """Return a contract for expression trees: an object for each operator, or a number."""
    operand = {"$ref": "#/$defs/expression"}
    alternatives = [
        {
            "type": "object",
            "properties": {"operator": {"const": each}, "left": operand, "right": operand},
            "required": ["operator", "left", "right"],
            "additionalProperties": False,
        }
        for each in OPERATORS
    ]
    return {
        **head,
        "$defs": {"expression": {"oneOf": [*alternatives, {"type": "number"}]}},
        "$ref": "#/$defs/expression",
    }


def expression(levels, leaf):
    value = leaf
    for level in range(levels):
        value = {"operator": OPERATORS[level % 4], "left": value, "right": 1}
    return value


@pytest.mark.parametrize("head", [{}, {"$id": "urn:example:expressions"}, {"$id": "https://example.test/e"}], ids=str)
@pytest.mark.parametrize("levels", [1, 7, 12, 30])
def test_a_deep_tree_of_alternatives_is_explained_at_the_place_that_is_wrong(levels, head):
    compiled = schema_validator.compile_schema(expressions(**head))

    with that_ends(within=2):
        (violation,) = compiled.violations(expression(levels, "five"))

    assert violation.pointer == "/left" * levels
    assert "fit exactly one of the forms" in violation.message


@pytest.mark.parametrize(
    ("wrong", "pointer", "words"),
    [
        ({"operator": "add", "left": 1}, "/left/left", "must have the property “right”"),
        ({"operator": "add", "left": 1, "right": 1, "x": 1}, "/left/left", "does not allow: “x”"),
        ({"operator": "power", "left": 1, "right": 1}, "/left/left", "fit exactly one of the forms"),
    ],
)
def test_the_alternative_that_a_value_means_is_explained(wrong, pointer, words):
    (violation,) = schema_validator.compile_schema(expressions()).violations(expression(2, wrong))

    assert violation.pointer == pointer
    assert words in violation.message


DRAFT_4 = {"$schema": "http://json-schema.org/draft-04/schema#"}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
KEYWORDS = {
    "type": ({"type": "integer"}, "x"),
    "several": ({"type": "integer", "enum": ["a"], "maxLength": 0}, "x"),
    "a reference beside others": ({"$defs": {"a": {"minimum": 3}}, "$ref": "#/$defs/a", "maximum": 9}, 1),
    "required": ({"required": ["a", "b"]}, {}),
    "additionalProperties: false": ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}),
    "additionalProperties": ({"additionalProperties": {"type": "null"}}, {"b": 1}),
    "patternProperties": ({"patternProperties": {"^b": {"type": "null"}}}, {"a": 1, "b": 1}),
    "propertyNames": ({"propertyNames": {"maxLength": 1}}, {"bb": 1}),
    "a property that may not be there": ({"properties": {"a": False}}, {"a": 1}),
    "items": ({"items": {"type": "null"}}, [None, 1]),
    "prefixItems": ({"prefixItems": [{}, {"const": 2}]}, [1, 1]),
    "contains": ({"contains": {"const": 2}}, [1]),
    "uniqueItems": ({"uniqueItems": True}, [1, 1]),
    "allOf": ({"allOf": [{}, {"items": {"type": "null"}}]}, [1]),
    "not": ({"not": {"type": "null"}}, None),
    "then": ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}),
    "else": ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}),
    "dependentSchemas": ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}),
    "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    "one alternative too many": ({"oneOf": [{}, {"type": "integer"}]}, 1),
    "no alternative": ({"anyOf": [{"maximum": 0}, {"minimum": 5}]}, 1),
    "names with signs": ({"properties": {"a/b~c %": {"items": {"not": {}}}}}, {"a/b~c %": [1]}),
    "a draft 7 tuple": ({**DRAFT_7, "items": [{"type": "null"}], "additionalItems": {"const": 2}}, [None, 3]),
    "names that depend on a name": ({**DRAFT_7, "dependencies": {"a": ["b"]}}, {"a": 1}),
    "a schema that depends on a name": ({**DRAFT_7, "dependencies": {"a": {"required": ["d"]}}}, {"a": 1}),
    "what stands beside a draft 7 reference": (
        {
            **DRAFT_7,
            "definitions": {"a": {"minimum": 3}},
            "properties": {"a": {"$ref": "#/definitions/a", "type": "null"}},
        },
        {"a": 1},
    ),
    "a draft 4 bound": ({**DRAFT_4, "minimum": 3, "exclusiveMinimum": True}, 3),
}


@for_each("keyword", KEYWORDS)
def test_the_explainer_says_what_the_validator_lists(keyword):
    document, value = KEYWORDS[keyword]
    validator = schema_validator.compile_schema(document)._validator
    listed = [finding_of(error).as_violation() for error in validator.iter_errors(value)]

    found = [finding.as_violation() for finding in Explainer(document, {}).explain(value, limit=50)]

    assert sorted(found, key=str) == sorted(listed, key=str)


def test_a_property_that_no_alternative_evaluates_is_said_to_be_too_much():
    document = {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}

    (finding,) = Explainer(document, {}).explain({"b": 1}, limit=50)

    assert finding.as_violation().schema_pointer == "/unevaluatedProperties"
    assert "properties that its contract does not allow" in finding.as_violation().message


def test_a_violation_in_a_referenced_schema_is_reported_with_its_place():
    address = {"$id": "https://example.test/address", "$defs": {"zip": {"pattern": "^[0-9]{5}$"}}}
    document = {
        "anyOf": [{"type": "null"}, {"properties": {"zip": {"$ref": "address.json#/$defs/zip"}}, "type": "object"}]
    }
    compiled = schema_validator.compile_schema(document, {"address.json": address})

    (violation,) = compiled.violations({"zip": "x"})

    assert (violation.pointer, violation.schema_pointer) == ("/zip", "/$defs/zip/pattern")


def test_many_values_that_fit_none_of_many_alternatives_are_explained_within_the_budget():
    kinds = [
        {"type": "object", "required": ["k"], "properties": {"k": {"const": n}, "v": {"type": "null"}}}
        for n in range(60)
    ]
    compiled = schema_validator.compile_schema({"items": {"oneOf": kinds}})

    with that_ends(within=5):
        violations = compiled.violations([{"k": 5, "v": 1}] * 3_000)

    assert violations[0].pointer == "/0/v"
    assert len(violations) <= schema_validator.MAX_VIOLATIONS


def test_explaining_ends_with_its_budget_and_says_where_it_stood():
    compiled = schema_validator.compile_schema(expressions())

    found = compiled._explainer.explain(expression(12, "five"), limit=50, steps=60_000)

    assert [finding.as_violation().message for finding in found]
    assert "too much work" in found[0].as_violation().message


def test_several_ways_to_one_place_are_explained_once():
    arms = [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]
    value = 5
    for _ in range(10):
        value = {"a": value}

    violations = schema_validator.compile_schema({"type": "object", "allOf": arms}).violations(value)

    assert [violation.pointer for violation in violations] == ["/a" * 10]


def test_a_dynamic_reference_is_explained_as_a_whole():
    document = {"$dynamicAnchor": "node", "type": "object", "properties": {"a": {"$dynamicRef": "#node"}}}

    (violation,) = schema_validator.compile_schema(document).violations({"a": {"a": 5}})

    assert violation.message


LONG_NAMES = {f"{'n' * 50}{number}": "x" * 150 for number in range(1000)}


@pytest.mark.parametrize(
    ("schema", "event", "keyword"),
    [
        ({"required": [f"r{n}" for n in range(5000)]}, {f"k{n}": [1] * 8 for n in range(1000)}, "required"),
        ({"allOf": [{"required": [f"r{n}"]} for n in range(1000)]}, LONG_NAMES, "required"),
        ({"dependentRequired": {"a": [f"r{n}" for n in range(5000)]}}, {"a": [1] * 9000}, "dependentRequired"),
        ({"properties": {"a": {"propertyNames": {"pattern": "^[A-Z]+$"}}}}, {"a": LONG_NAMES}, "pattern"),
        ({"propertyNames": False}, LONG_NAMES, "propertyNames"),
    ],
    ids=["required", "required in many parts", "dependentRequired", "propertyNames inside", "propertyNames"],
)
def test_a_large_object_with_a_thousand_faults_is_not_copied_for_each_of_them(schema, event, keyword):
    compiled = schema_validator.compile_schema(schema)

    with that_ends(within=1):
        findings = compiled.findings(event)

    assert len(findings) == schema_validator.MAX_VIOLATIONS
    assert {each.keyword for each in findings} == {keyword}


@pytest.mark.parametrize(
    "schema",
    [
        {"required": ["a", "b", "c"]},
        {"dependentRequired": {"a": ["b", "c"], "z": ["y"]}},
        {"dependencies": {"a": ["b", "c"]}},
        {"propertyNames": {"maxLength": 2, "pattern": "^[a-z]"}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}, "required": ["d"]},
    ],
    ids=str,
)
def test_missing_properties_and_names_are_told_as_the_validator_tells_them(schema):
    compiled = schema_validator.compile_schema(schema)
    event = {"a": 1, "Long": [1]}

    explained = Explainer(schema, {}).explain(event, limit=50)
    listed = [finding_of(error) for error in compiled._validator.iter_errors(event)]

    assert {each.as_violation() for each in explained} == {each.as_violation() for each in listed}
    assert {(each.missing, each.schema_path, each.evaluation_path) for each in explained} == {
        (each.missing, each.schema_path, each.evaluation_path) for each in listed
    }


@for_each(
    "draft, ignored",
    [
        ("http://json-schema.org/draft-06/schema#", {"if": {}, "then": {"required": ["b"]}}),
        ("http://json-schema.org/draft-07/schema#", {"dependentRequired": {"a": ["b"]}}),
        ("http://json-schema.org/draft-07/schema#", {"dependentSchemas": {"a": {"required": ["b"]}}}),
        ("http://json-schema.org/draft-04/schema#", {"propertyNames": {"maxLength": 0}}),
    ],
)
def test_keywords_that_a_draft_does_not_have_explain_nothing(draft, ignored):
    schema = {"$schema": draft, **ignored, "properties": {"a": {"type": "string"}}}

    (finding,) = Explainer(schema, {}).explain({"a": 1}, limit=50)

    assert finding.keyword == "type"


def test_a_part_that_refers_to_itself_counts_as_the_whole_when_it_is_explained():
    next_one = {"$ref": "#/$defs/node"}
    forms = [{"properties": {"k": {"const": n}, "next": next_one}, "required": ["next"]} for n in range(300)]
    explainer = Explainer({"$defs": {"node": {"anyOf": forms}}, "$ref": "#/$defs/node"}, {})

    assert explainer.costs.steps(explainer.root.schema["$defs"]["node"], 1, 0) > 1000


def test_the_characters_of_a_text_count_when_it_is_explained():
    schema = {"properties": {"a": {"pattern": "a{1,50}$"}}}
    explainer = Explainer(schema, {})

    assert explainer.costs.steps(explainer.root.schema["properties"]["a"], 1, 1000) > 50_000


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"propertyNames": {"maxLength": 1}}, "/properties/v/propertyNames/maxLength"),
        ({"propertyNames": {"$ref": "#/$defs/name"}}, "/$defs/name/maxLength"),
        (
            {"items": {"propertyNames": {"allOf": [{"maxLength": 1}]}}},
            "/properties/v/items/propertyNames/allOf/0/maxLength",
        ),
    ],
)
def test_a_name_that_is_not_allowed_is_told_with_the_place_in_the_schema(part, place):
    schema = {"properties": {"v": part}, "$defs": {"name": {"maxLength": 1}}}
    value = [{"ab": 1}] if "items" in part else {"ab": 1}

    violations = schema_validator.compile_schema(schema).check({"v": value})

    assert [each.schema_pointer for each in violations] == [place]
