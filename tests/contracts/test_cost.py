"""A schema whose worst case is too much work is refused when it is registered; ordinary ones are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.catalog.stream_definitions import ActiveContract, EventTypeDefinition, StreamDefinition
from synapse.errors.contracts import BadSchema, TooCostly
from synapse.publishing.deferred_validation import check_in_thread
from synapse.schema import regex_safety, validator
from synapse.schema.cost.guard import MAX_STEPS
from synapse.schema.cost.model import CostModel, upper_bound
from synapse.schema.references import ReferenceResolver
from tests.patience import that_ends
from tests.tables import for_each

FRACTIONS = [n + 0.5 for n in range(1_000)]
OBJECTS = [{"a": n, "b": [n]} for n in range(600)]
WIDE_PATTERN = "[a-z]{0,99}[a-z]{0,99}"
EMAIL = (
    r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$"
)


def many(schema, count=900):
    """Return a schema by which a value is checked against another one so many times."""
    return {"allOf": [{"not": {"title": str(number), "not": schema}} for number in range(count)]}


LEAVES = {
    "enum of objects": {"enum": OBJECTS},
    "enum of fractions": {"enum": FRACTIONS},
    "const": many({"const": {"a": [1, 2, 3], "b": 1}}),
    "pattern": {"pattern": "(x{1,100}){1,100}y"},
    "patterns": many({"pattern": WIDE_PATTERN}, 50),
    "format": many({"format": "email"}),
    "multipleOf": many({"multipleOf": 1e-300}),
    "minimum": many({"minimum": 0.5}),
    "uniqueItems": many({"uniqueItems": True}),
    "contains": many({"contains": {"const": 1.5}}),
    "propertyNames": {"propertyNames": many({"pattern": WIDE_PATTERN}, 50)},
    "patternProperties": {"patternProperties": {f"{WIDE_PATTERN}{number}": {} for number in range(50)}},
    "dependentSchemas": {"dependentSchemas": {f"p{number}": {"enum": FRACTIONS[:50]} for number in range(50)}},
    "unevaluatedProperties": {
        "allOf": [{"patternProperties": {"^k": many({"minimum": number}, 20)}} for number in range(20)],
        "unevaluatedProperties": {"enum": FRACTIONS[:20]},
    },
    "unevaluatedItems": {"unevaluatedItems": {"enum": FRACTIONS}},
    "if": many({"if": {"enum": FRACTIONS[:5]}, "then": {"minimum": 1}, "else": {"maximum": 2}}),
}
AROUND = {
    "items": lambda leaf: {"items": leaf},
    "additionalProperties": lambda leaf: {"additionalProperties": leaf},
    "a tree": lambda leaf: {"properties": {"children": {"items": {"$ref": "#"}}, "value": {"items": leaf}}},
    "a fan of references": lambda leaf: {
        "$defs": {"leaf": {"items": leaf}},
        "allOf": [{"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/leaf"}],
    },
    "a URN": lambda leaf: {"$id": "urn:a:b", "$defs": {"leaf": leaf}, "items": {"$ref": "urn:a:b#/$defs/leaf"}},
    "an anchor": lambda leaf: {
        "$id": "urn:a:b",
        "$defs": {"x": {"$anchor": "leaf", **leaf}},
        "items": {"$ref": "#leaf"},
    },
    "a relative name": lambda leaf: {
        "$id": "https://example.test/a/b",
        "$defs": {"x": {"$id": "leaf", **leaf}},
        "items": {"$ref": "leaf"},
    },
    "a dynamic anchor": lambda leaf: {
        "$defs": {"x": {"$dynamicAnchor": "leaf", **leaf}},
        "items": {"$dynamicRef": "#leaf"},
    },
}


@pytest.mark.product("around")
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("leaf", LEAVES)
def test_a_costly_leaf_for_many_values_is_refused(leaf, around):
    with that_ends(), pytest.raises(BadSchema, match="could take some"):
        validator.compile_schema(AROUND[around](LEAVES[leaf]))


@for_each("around", AROUND)
def test_a_costly_leaf_is_refused_wherever_it_is(around):
    with that_ends(), pytest.raises(BadSchema, match="could take some"):
        validator.compile_schema(AROUND[around](LEAVES["const"]))


ORDINARY = {
    "an enum of 500 texts": {"items": {"enum": [f"value-{n}" for n in range(500)]}},
    "an enum of 500 texts and null": {"items": {"enum": [*(f"value-{n}" for n in range(500)), None]}},
    "an enum of 500 integers": {"items": {"enum": list(range(500))}},
    "an enum of 500 objects, once": {"properties": {"a": {"enum": OBJECTS[:500]}}},
    "an enum of 500 objects in a short array": {"items": {"enum": OBJECTS[:500]}, "maxItems": 100},
    "60 alternatives": {
        "items": {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["kind"],
                    "properties": {
                        "kind": {"const": f"kind-{number}"},
                        "at": {"type": "string", "format": "date-time"},
                        f"amount_{number}": {"type": "number", "minimum": 0, "maximum": 1e6},
                    },
                }
                for number in range(60)
            ]
        }
    },
    "a pattern for e-mail": {"items": {"type": "string", "pattern": EMAIL}},
    "formats": {"items": {"properties": {"e": {"format": "email"}, "u": {"format": "uri"}, "d": {"format": "date"}}}},
    "unique items": {"uniqueItems": True, "items": {"type": "string"}},
    "a few unique items": {"items": {"uniqueItems": True, "maxItems": 100, "items": {"type": "integer"}}},
    "prices": {"items": {"properties": {"price": {"type": "number", "multipleOf": 0.01, "minimum": 0}}}},
    "a tree": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "maxLength": 80}, "children": {"items": {"$ref": "#"}}},
    },
    "definitions that mean each other": {
        "$defs": {
            f"t{i}": {
                "type": "object",
                "properties": {
                    **{f"p{j}": {"$ref": f"#/$defs/t{(i * 7 + j) % 40}"} for j in range(8)},
                    "name": {"type": "string", "pattern": "^[a-z]+$"},
                    "amount": {"type": "number", "minimum": 0},
                },
                "additionalProperties": False,
            }
            for i in range(40)
        },
        "$ref": "#/$defs/t0",
    },
}


@for_each("name", ORDINARY)
def test_an_ordinary_schema_is_accepted(name):
    document = ORDINARY[name]

    compiled = validator.compile_schema(document)

    assert compiled.accepts([] if "items" in document else {}) is not None


def test_the_refusal_names_the_costliest_keyword_its_place_and_a_way_out():
    document = {"properties": {"a": {"type": "array", "items": {"anyOf": [{"enum": OBJECTS}, True]}}}}

    with pytest.raises(BadSchema) as refused:
        validator.compile_schema(document)

    assert "“enum” at “/properties/a/items/anyOf/0”" in refused.value.detail
    assert "“maxItems”" in refused.value.detail


def test_a_refusal_of_alternatives_that_multiply_says_so():
    twice = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(14)}

    with pytest.raises(BadSchema, match="alternatives and references multiply"):
        validator.compile_schema({"$defs": {**twice, "a14": {"type": "object"}}, "items": {"$ref": "#/$defs/a0"}})


BIG = 2**60


@pytest.mark.parametrize(
    ("document", "small", "large"),
    [
        ({"items": {"enum": FRACTIONS}}, [0.5, 1.5], [0.5] * 2_000),
        ({"pattern": "(x{1,100}){1,100}y"}, "xy", "x" * 50_000),
        ({"uniqueItems": True}, list(range(9_000)), [BIG + n for n in range(9_000)]),
    ],
    ids=["values", "characters", "integers that hash alike"],
)
def test_a_costly_schema_that_is_registered_already_checks_what_it_can(document, small, large):
    compiled = validator.compile_schema(document, is_registered=True)

    assert compiled.accepts(small)
    with that_ends(within=1), pytest.raises(TooCostly):
        compiled.accepts(large)


def test_a_schema_that_is_cheap_for_every_event_has_no_guard():
    compiled = validator.compile_schema({"items": {"type": "integer"}})

    assert compiled._guard is None


@pytest.mark.parametrize("enforcement", ["enforce", "warn"])
def test_an_event_that_is_too_costly_to_check_is_refused_where_contracts_are_enforced(enforcement):
    schema = validator.compile_schema({"properties": {"a": {"items": {"enum": FRACTIONS}}}}, is_registered=True)
    contract = ActiveContract(subject="s", version=1, schema=schema)
    stream = StreamDefinition(
        name="s", enforcement=enforcement, event_types={"t": EventTypeDefinition(name="t", contract=contract)}
    )
    event = {"event_type": "t", "a": [0.5] * 2_000}

    if enforcement == "enforce":
        with pytest.raises(TooCostly):
            check_in_thread(stream, event)
    else:
        (warning,) = check_in_thread(stream, event).warnings
        assert "more than 0.2 s" in warning.message


def test_recursion_costs_each_value_once_for_every_part_that_refers_to_itself():
    arms = [{"properties": {"a": {"$ref": "#"}}}] * 3
    model = CostModel(ReferenceResolver({"type": "object", "allOf": arms}, {}))

    assert model.whole.here < 50


def test_a_registered_schema_is_within_the_bound_for_ordinary_events():
    model = CostModel(ReferenceResolver(ORDINARY["60 alternatives"], {}))

    assert model.whole.of_event(1_000, 16 * 1024, 0) <= MAX_STEPS


@for_each(
    "pattern, most",
    [
        ("^a+$", 3),
        ("^.{1,500}$", 3),
        (r"^\w{1,100}$", 3),
        ("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}$", 8),
        (r"^([a-z]+\.)*[a-z]+$", 8),
        (r"^https?://.+$", 12),
        (EMAIL, 150),
    ],
)
def test_a_pattern_that_reads_a_text_one_way_is_narrow(pattern, most):
    assert regex_safety.matching_width(pattern) <= most


@for_each(
    "pattern, least",
    [
        ("(x{1,100}){1,100}y", 10_000),
        ("^(x{1,100}){1,100}y", 10_000),
        ("x{1,1000}y", 1_000),
        ("^[a-z]{0,1000}[a-z]{0,1000}y", 1_000),
        ("(a|b|x)*x(a|b|x){60}y", 60),
        ("^((a{1,100}){1,100}){1,100}$", 1_000_000),
        (r"\p{L}{1,50}", 50),
    ],
)
def test_a_pattern_that_follows_many_ways_at_once_is_wide(pattern, least):
    assert regex_safety.matching_width(pattern) >= least


@pytest.mark.parametrize(
    "option", [[0.5], {"a": 0.5}, [[0.5]], ["x", {"a": [1, 0.5]}]], ids=["array", "object", "nested", "deep"]
)
def test_a_fraction_inside_an_option_costs_no_less_than_a_fraction_alone(option):
    alone, inside = ({"items": {"enum": [each] * 80}} for each in (0.5, option))

    assert CostModel(ReferenceResolver(inside, {})).whole.below > CostModel(ReferenceResolver(alone, {})).whole.below


def test_options_that_hold_no_fractions_cost_for_each_of_their_parts_alike():
    costs = [
        CostModel(ReferenceResolver({"items": {"enum": [each] * 80}}, {})).whole.below
        for each in (["a", 1, None], {"a": True, "b": 2, "c": "x"}, [[], {}, "a"])
    ]

    assert len(set(costs)) == 1


def test_an_event_nested_deeper_than_json_is_written_is_checked_by_a_schema_with_a_guard():
    compiled = validator.compile_schema({"properties": {"a": {"uniqueItems": True}, "n": {"type": "integer"}}})
    deep = []
    for _ in range(600):
        deep = [deep]

    assert compiled._guard is not None
    assert compiled.accepts({"a": deep, "n": 1})
    assert not compiled.accepts({"a": deep, "n": "one"})


def wrapped(parts):
    """Return a strategy of schemas that apply such parts."""
    lists = st.lists(parts, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), parts, min_size=1)
    words = {
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), lists),
        **dict.fromkeys(("not", "if", "then", "items", "additionalProperties", "additionalItems", "contains"), parts),
        **dict.fromkeys(("properties", "dependentSchemas", "patternProperties"), named),
        "items of older drafts": lists,
    }
    return st.fixed_dictionaries({}, optional=words).map(renamed)


def renamed(schema):
    """Return the schema with the lists of older drafts in place."""
    older = schema.pop("items of older drafts", None)
    return schema if older is None else {**schema, "items": older}


PARTS = st.recursive(
    st.sampled_from(
        [
            *({}, True, {"type": "string"}, {"minimum": 1}, {"enum": [1.5, 2.5]}, {"pattern": "a{1,5}b"}),
            *({"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}, {"format": "date"}, {"uniqueItems": True}),
        ]
    ),
    wrapped,
    max_leaves=12,
)


@given(PARTS, PARTS, PARTS)
def test_the_bound_found_by_one_look_is_no_less_than_what_the_model_finds(root, one, other):
    resolver = ReferenceResolver({"allOf": [root], "$defs": {"a": one, "b": other}}, {})
    bound = upper_bound(resolver).of_largest

    try:
        cost = CostModel(resolver).whole
    except BadSchema:
        assert bound == float("inf")
    else:
        assert bound >= cost.of_largest


def test_a_schema_that_is_evidently_cheap_reckons_events_by_its_exact_cost():
    document = {"properties": {"a": {"items": {"minimum": 1}}}}
    compiled = validator.compile_schema(document)

    assert compiled._cost is None
    assert compiled._guard.cost == CostModel(ReferenceResolver(document, {})).whole
    assert validator.compile_schema({"type": "object"})._guard is None
