"""LENIENT lets through three changes that people make every day, and says so."""

import pytest

from synapse.compatibility import (
    EarlierVersion,
    Mode,
    Policy,
    check,
)

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}
LET_THROUGH = {
    "PROPERTY_ADDED_TO_OPEN_OBJECT": (OPEN, {**OPEN, "properties": {**OPEN["properties"], "b": {"type": "integer"}}}),
    "PROPERTY_REMOVED_FROM_CLOSED_OBJECT": (CLOSED, {**CLOSED, "properties": {}}),
    "ADDITIONAL_PROPERTIES_NARROWED": (OPEN, {**OPEN, "additionalProperties": {"type": "string"}}),
}
REFUSED = {
    "a property that is required is added": (OPEN, {**OPEN, "required": ["a"]}),
    "a property that is added to a partly open object": (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}, "properties": {"b": {"type": "integer"}}},
    ),
    "a property that was declared for any value": (
        {"properties": {"b": {}}},
        {"properties": {"b": {"type": "string"}}},
    ),
    "a pattern of names": (OPEN, {**OPEN, "patternProperties": {"^x": {"type": "integer"}}}),
    "an open object that is excluded": ({"type": "object"}, {"not": {"properties": {"a": {"type": "string"}}}}),
}


def verdict_of(old, new, policy):
    return check(new, [EarlierVersion(version=1, document=old)], mode=Mode.BACKWARD, policy=policy)


@pytest.mark.parametrize("rule", LET_THROUGH)
def test_an_everyday_change_is_let_through_and_named(rule):
    old, new = LET_THROUGH[rule]

    lenient, strict = verdict_of(old, new, Policy.LENIENT), verdict_of(old, new, Policy.STRICT)

    assert lenient.is_compatible
    assert [allowed.rule for allowed in lenient.allowed] == [rule]
    assert lenient.allowed[0].has_witness
    assert not strict.is_compatible
    assert [difference.rule for difference in strict.differences] == [rule]


@pytest.mark.parametrize(("old", "new"), REFUSED.values(), ids=REFUSED.keys())
def test_changes_that_resemble_lenient_ones_are_refused(old, new):
    verdict = verdict_of(old, new, Policy.LENIENT)

    assert not verdict.is_compatible
    assert not {difference.rule for difference in verdict.differences} & LET_THROUGH.keys()


def test_an_everyday_change_deep_inside_an_alternative_is_let_through():
    old, new = (
        {"anyOf": [{"type": "null"}, {"type": "array", "items": it}]}
        for it in LET_THROUGH["PROPERTY_ADDED_TO_OPEN_OBJECT"]
    )

    verdict = verdict_of(old, new, Policy.LENIENT)

    assert verdict.is_compatible
    assert [allowed.rule for allowed in verdict.allowed] == ["PROPERTY_ADDED_TO_OPEN_OBJECT"]
