"""The guide's `inference-complete` changes, and the advice for each change that is refused."""

import copy
import json
from pathlib import Path

import pytest

from synapse.compatibility import (
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from tests import yaml_files
from tests.tables import for_each

CATALOG = Path(__file__).parents[3] / "catalog" / "deepiri.yaml"
SCHEMAS = [
    event_type["schema"]
    for stream in yaml_files.read(CATALOG)["streams"]
    for event_type in stream.get("event_types", ())
    if event_type.get("schema")
]


@pytest.fixture
def old():
    return next(schema for schema in SCHEMAS if schema["title"] == "Inference complete")


@pytest.fixture
def new(old):
    return copy.deepcopy(old)


def test_an_optional_field_is_gained(old, new):
    new["properties"]["region"] = {"type": "string", "maxLength": 40}

    verdict = check(new, [EarlierVersion(version=1, document=old)], mode=Mode.BACKWARD)

    assert verdict.is_compatible
    [allowed] = verdict.allowed
    assert allowed.rule == "PROPERTY_ADDED_TO_OPEN_OBJECT"
    assert allowed.new_pointer == "/properties/region"
    assert "region" in allowed.witness


def test_a_required_field_is_lost_under_forward(old, new):
    new["required"].remove("latency_ms")

    verdict = check(new, [EarlierVersion(version=3, document=old)], mode=Mode.FORWARD)

    [difference] = verdict.differences
    assert difference.rule == "REQUIRED_PROPERTY_ADDED"
    assert difference.version == 3
    assert difference.fix == "Require “latency_ms”: add it to “required”."
    assert sorted(difference.witness) == ["event_type", "model_name"]


def test_a_required_field_is_removed_under_forward(old, new):
    new["required"].remove("latency_ms")
    del new["properties"]["latency_ms"]

    verdict = check(new, [EarlierVersion(version=3, document=old)], mode=Mode.FORWARD)

    assert "REQUIRED_PROPERTY_ADDED" in {difference.rule for difference in verdict.differences}
    assert all(difference.has_witness for difference in verdict.differences)


@for_each("schema", SCHEMAS)
def test_each_schema_may_follow_itself_in_other_words(schema):
    other_words = json.loads(json.dumps({"description": "New.", "$defs": {}, **schema}).replace("Identifier", "Id"))

    verdict = check(other_words, [EarlierVersion(version=1, document=schema)], mode=Mode.FULL, policy=Policy.STRICT)

    assert verdict.is_compatible
