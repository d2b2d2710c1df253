"""The models and the catalog's schemas have equal properties, and accept and refuse the same events."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.chaos.profile import examples

from deepiri_modelkit.contracts.events import EVENT_MODELS, parse_event
from deepiri_modelkit.streaming import StreamTopics
from tests import yaml_files

CATALOG = yaml_files.read(Path(__file__).parents[2] / "catalog" / "deepiri.yaml")
EVENT_TYPES: dict[str, dict[str, Any]] = {
    event_type["name"]: event_type for stream in CATALOG["streams"] for event_type in stream["event_types"]
}
SCHEMAS = {name: event_type["schema"] for name, event_type in EVENT_TYPES.items()}
VALIDATORS = {
    name: jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())
    for name, schema in SCHEMAS.items()
}
BOUNDS = ("const", "enum", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "multipleOf")


def normal(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the types and bounds of a property's schema in one form."""
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice != {"type": "null"}]
    assert len(choices) == 1, schema
    (choice,) = choices
    types = choice.get("type", "string" if "const" in choice else None)
    null = len(choices) < len(schema.get("anyOf", [schema])) or "null" in types
    asked: dict[str, Any] = {name: choice[name] for name in BOUNDS if name in choice}
    return asked | {"types": {types} if isinstance(types, str) else set(types) - {"null"}, "null": null}


def model_takes(event: dict[str, Any]) -> bool:
    try:
        parse_event(event)
    except ValidationError:
        return False
    return True


def test_the_streams_are_those_of_the_catalog() -> None:
    assert [str(topic) for topic in StreamTopics] == [stream["name"] for stream in CATALOG["streams"]]


def test_the_event_types_are_those_of_the_catalog() -> None:
    assert list(EVENT_MODELS) == list(EVENT_TYPES)


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_a_model_asks_for_what_its_contract_asks_for(name: str) -> None:
    model, contract = EVENT_MODELS[name].model_json_schema(), SCHEMAS[name]

    assert set(model["required"]) == set(contract["required"])
    assert model["additionalProperties"] is True
    assert contract.get("additionalProperties", True) is True
    assert {key: normal(schema) for key, schema in model["properties"].items()} == {
        key: normal(schema) for key, schema in contract["properties"].items()
    }


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_a_contract_has_no_rule_that_this_comparison_does_not_know(name: str) -> None:
    known = {"$schema", "title", "description", "type", "required", "properties"}
    assert set(SCHEMAS[name]) <= known
    for schema in SCHEMAS[name]["properties"].values():
        assert set(schema) <= {"type", "description", *BOUNDS}


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_the_example_of_a_contract_is_taken_and_comes_back_unchanged(name: str) -> None:
    example = EVENT_TYPES[name]["example"]

    event = parse_event(example)

    assert type(event) is EVENT_MODELS[name]
    assert event.dict(exclude_unset=True) == example


def kinds_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return edge cases of a property: values of its type and of others, on each bound and just beyond it."""
    lengths = [schema[bound] + step for bound in ("minLength", "maxLength") if bound in schema for step in (-1, 0, 1)]
    edges = [
        schema[bound] + step for bound in ("minimum", "maximum") if bound in schema for step in (-1, -1e-9, 0, 1e-9)
    ]
    odd = [
        None,
        True,
        False,
        0,
        1,
        3.0,
        0.5,
        -0.0,
        1e308,
        2**64,
        "",
        "x",
        "45",
        "True",
        [],
        ["x"],
        {},
        {"a": {"b": None}},
    ]
    times = ["2024-01-15T10:30:00Z", "2024-01-15T10:30:00", "2024-01-15T10:30:60.123456789+02:00", "2024-01-15"]
    bad_times = ["2024-13-15T10:30:00Z", "2024-01-15T24:00:00Z", "2024-01-15T10:30:00Z\n", "2024-01-15 10:30:00Z"]
    texts = ["é" * length for length in lengths if length >= 0]
    return (
        st.sampled_from([*odd, *edges, *texts, *times, *bad_times])
        | st.text(max_size=4)
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
    )


@st.composite
def variations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Yield variations of an example, with a few properties changed, added or removed."""
    name = draw(st.sampled_from(list(EVENT_TYPES)))
    properties = SCHEMAS[name]["properties"]
    event = dict(EVENT_TYPES[name]["example"])
    for key in draw(st.lists(st.sampled_from([*properties, "unforeseen", "model_config", "dict"]), max_size=3)):
        if key == "event_type":
            continue
        if draw(st.integers(0, 4)) == 0:
            event.pop(key, None)
        else:
            event[key] = draw(kinds_of(properties.get(key, {})))
    return name, event


@settings(max_examples=examples(600), deadline=None)
@given(variations())
def test_a_model_takes_exactly_what_its_contract_takes(case: tuple[str, dict[str, Any]]) -> None:
    name, event = case

    taken = model_takes(event)

    assert taken == VALIDATORS[name].is_valid(event)
    if taken:
        # If the contract requires an integer, a float without a fraction becomes an equal integer. Nothing else
        # changes.
        assert parse_event(event).dict(exclude_unset=True) == event


@pytest.mark.parametrize("event_type", [None, 7, "", "a b", "x" * 101, "inference-error"])
def test_the_event_type_has_to_be_the_one_of_the_model(event_type: object) -> None:
    event = {**EVENT_TYPES["inference-complete"]["example"], "event_type": event_type}

    assert not VALIDATORS["inference-complete"].is_valid(event)
    with pytest.raises(ValidationError):
        EVENT_MODELS["inference-complete"].model_validate(event)
