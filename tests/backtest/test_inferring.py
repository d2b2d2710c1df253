"""A schema proposed from events states their common properties and accepts each of them."""

import random
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synapse.schema import validator
from synapse.schema.inference import MOST_NAMES, Observation, propose
from tests.chaos.profile import examples

UUIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(60)]


def proposed(*events, like=None):
    seen = Observation()
    for event in events:
        seen.see({"event_type": "order-placed", **event})
    marks = None if like is None else validator.compile_schema(like).personal
    return propose(seen, "order-placed", like=like, marks=marks)


def of_values(*values):
    """Return the schema proposed for one property that had these values."""
    return proposed(*({"x": value} for value in values))["properties"]["x"]


def test_a_proposal_names_its_draft_its_title_and_its_type():
    document = proposed({"n": 1})

    assert document == {
        "$schema": validator.DRAFT_2020_12,
        "title": "Order placed",
        "type": "object",
        "required": ["event_type", "n"],
        "properties": {"event_type": {"type": "string", "const": "order-placed"}, "n": {"type": "integer"}},
    }


def test_only_properties_of_every_event_are_required():
    document = proposed({"b": 1, "a": 1}, {"a": 2}, {"a": 3, "c": 1})

    assert document["required"] == ["event_type", "a"]
    assert list(document["properties"]) == ["event_type", "a", "b", "c"]


TYPES = [
    ([1, 2], {"type": "integer"}),
    ([1, 2.5], {"type": "number"}),
    ([1.0], {"type": "number"}),
    ([True, False], {"type": "boolean"}),
    ([True, 1], {"type": ["boolean", "integer"]}),
    (["a", None], {"type": ["string", "null"]}),
    ([None], {"type": "null"}),
    ([[]], {"type": "array"}),
    ([[1], ["a"], []], {"type": "array", "items": {"type": ["integer", "string"]}}),
    ([{}], {"type": "object"}),
    (
        [{"a": 1}, {"a": 2, "b": [{"c": None}]}],
        {
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": {"type": "integer"},
                "b": {
                    "type": "array",
                    "items": {"type": "object", "required": ["c"], "properties": {"c": {"type": "null"}}},
                },
            },
        },
    ),
]


@pytest.mark.parametrize(("values", "schema"), TYPES)
def test_types_are_those_that_were_seen_and_ranges_are_not_guessed(values, schema):
    assert of_values(*values) == schema


FORMATS = [
    ("date-time", [f"2024-01-15T10:30:0{n}Z" for n in range(5)]),
    ("uuid", UUIDS[:5]),
    ("uri", [f"s3://models/ranker/{n}" for n in range(5)]),
    ("email", [f"ada{n}@example.org" for n in range(5)]),
]


@pytest.mark.parametrize(("name", "values"), FORMATS)
def test_a_format_is_proposed_when_a_handful_have_it_and_none_has_not(name, values):
    assert of_values(*values) == {"type": "string", "format": name}
    assert of_values(*values, None) == {"type": ["string", "null"], "format": name}
    assert of_values(*values[:4]) == {"type": "string"}
    assert of_values(*values, "no such thing") == {"type": "string"}


def test_a_name_with_a_colon_is_no_uri_and_a_time_without_an_offset_is_no_date_time():
    assert of_values(*[f"user:{n}" for n in range(9)]) == {"type": "string"}
    assert of_values(*[f"2024-01-15T10:30:0{n}" for n in range(9)]) == {"type": "string"}


def test_a_few_words_that_are_seen_often_are_an_enum():
    assert of_values(*["low", "high"] * 25) == {"type": "string", "enum": ["high", "low"]}
    assert of_values(*["low", "high"] * 25, None) == {"type": ["string", "null"], "enum": ["high", "low", None]}


NO_ENUM = {
    "too few samples": ["low", "high"] * 24,
    "a word seen once": [*["low", "high"] * 25, "middle"],
    "a single word": ["low"] * 100,
    "many words": [letter * 3 for letter in string.ascii_lowercase] * 10,
    "versions": ["v1.0", "v1.1"] * 50,
    "sentences": ["all is well", "nothing is well"] * 50,
    "other types beside": [*["low", "high"] * 25, 1],
}


@pytest.mark.parametrize("values", NO_ENUM.values(), ids=NO_ENUM.keys())
def test_an_enum_is_not_proposed_for(values):
    assert "enum" not in of_values(*values)


def test_the_source_of_events_is_never_proposed_as_an_enum():
    document = proposed(*({"source": word} for word in ["helox", "cyrex"] * 50))

    assert document["properties"]["source"] == {"type": "string"}


def test_an_object_whose_names_are_keys_becomes_a_map():
    document = proposed(*({"scores": {f"user_{n}": n / 2, f"user_{n + 1}": 1}} for n in range(30)))

    assert document["properties"]["scores"] == {"type": "object", "additionalProperties": {"type": "number"}}


def test_a_map_keeps_the_names_that_are_always_there():
    document = proposed(*({"scores": {"total": n, f"user_{n}": "x"}} for n in range(30)))

    assert document["properties"]["scores"] == {
        "type": "object",
        "required": ["total"],
        "properties": {"total": {"type": "integer"}},
        "additionalProperties": {"type": "string"},
    }


def test_many_optional_properties_of_different_types_are_no_map():
    values = [1, "a", True, None, [1], {"a": 1}]

    document = proposed(*({"detail": {f"p{n}": values[n % 6]}} for n in range(40)))

    assert len(document["properties"]["detail"]["properties"]) == 40
    assert "additionalProperties" not in document["properties"]["detail"]


def test_more_names_than_can_be_remembered_are_a_map_in_any_order():
    events = [{"m": {"id": n, f"k{n}": n}} for n in range(MOST_NAMES + 100)]

    forwards, backwards = proposed(*events), proposed(*reversed(events))

    assert forwards == backwards
    assert forwards["properties"]["m"] == {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer"}},
        "additionalProperties": {"type": "integer"},
    }


def test_titles_descriptions_and_the_order_of_what_people_wrote_are_kept():
    like = {
        "title": "An order",
        "description": "Somebody bought something.",
        "required": ["z", "event_type"],
        "properties": {
            "z": {"type": "integer", "minimum": 1, "description": "How many."},
            "event_type": {"const": "order-placed", "description": "Always this."},
            "gone": {"type": "string"},
        },
    }

    document = proposed({"z": 0, "a": 1}, like=like)

    assert list(document) == ["$schema", "title", "description", "type", "required", "properties"]
    assert (document["title"], document["description"]) == ("An order", "Somebody bought something.")
    assert document["required"] == ["z", "event_type", "a"]
    assert document["properties"] == {
        "z": {"type": "integer", "description": "How many."},
        "event_type": {"type": "string", "const": "order-placed", "description": "Always this."},
        "a": {"type": "integer"},
    }


def test_marks_behind_references_and_in_parts_are_kept():
    like = {
        "$id": "urn:example:order",
        "allOf": [{"properties": {"mail": {"$ref": "#mail"}}}],
        "properties": {"card": {"$ref": "#/$defs/card"}, "pair": {"prefixItems": [{}, {"$ref": "#mail"}]}, "n": {}},
        "patternProperties": {"^x_": {"x-pii": "note"}},
        "$defs": {
            "mail": {"$anchor": "mail", "x-pii": "contact"},
            "card": {"properties": {"holder": {"x-pii": True}}, "additionalProperties": False},
        },
    }

    event = {"mail": "a", "card": {"holder": "b", "brand": "c"}, "pair": ["d", "e"], "n": 1, "x_y": "f"}

    properties = proposed(event, like=like)["properties"]
    with_a_text = proposed(event, {**event, "card": "a text"}, like=like)["properties"]

    assert {name for name, each in properties.items() if "x-pii" in each} == {"mail", "x_y"}
    assert properties["card"]["properties"]["holder"]["x-pii"] is True
    assert "x-pii" not in properties["card"]["properties"]["brand"]
    assert properties["pair"]["items"]["x-pii"] is True
    assert with_a_text["card"]["x-pii"] is True


def test_very_deep_or_large_events_get_a_less_detailed_schema_that_accepts_them():
    deep: dict[str, object] = {}
    for _ in range(200):
        deep = {"a": [deep]}
    large = {f"{n:04}" + "x" * 200: {"a": n} for n in range(900)}

    for event in ({"x": deep}, large, {"x": large, "y": 1}):
        text = validator.canonical_text(proposed(event))

        assert validator.compile_schema(validator.parse_schema(text)).accepts({"event_type": "order-placed", **event})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([*UUIDS[:3], "low", "high", "2024-01-15T10:30:00Z", "s3://a/b", "a@example.org", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdefgh") | st.text(max_size=4), inner)
    ),
    max_leaves=12,
)
events_of_a_type = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c", "source", "$ref", "\0"]) | st.text(max_size=3), json_values),
    min_size=1,
    max_size=20,
).map(lambda events: [{**event, "event_type": "order-placed"} for event in events])


@given(events_of_a_type, st.integers(1, 30))
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_proposal_accepts_every_event_that_it_was_made_from(events, times):
    seen = Observation()
    for event in events * times:
        seen.see(event)

    text = validator.canonical_text(propose(seen, "order-placed"))

    compiled = validator.compile_schema(validator.parse_schema(text))
    assert [event for event in events if not compiled.accepts(event)] == []


@given(events_of_a_type, st.randoms(use_true_random=False))
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_proposal_does_not_depend_on_the_order_of_the_events(events, chance: random.Random):
    shuffled = list(events)
    chance.shuffle(shuffled)

    def text(some):
        seen = Observation()
        for event in some:
            seen.see(event)
        return validator.canonical_text(propose(seen, "order-placed"))

    assert text(events) == text(shuffled)
