"""A schema that is made to be slow costs a refusal within a second, and never a hang or a crash."""

from typing import Any

import pytest

from synapse.compatibility import (
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.documents import Library
from synapse.compatibility.prover import Prover
from tests.patience import that_ends


def nested(levels: int, leaf: Any) -> Any:
    for _ in range(levels):
        leaf = {"type": "object", "properties": {"a": leaf}}
    return leaf


def two_arms(name: str) -> dict[str, Any]:
    arm = {"$ref": "#/$defs/n"}
    arms = [
        {"properties": {"a": arm, name: {"type": "string"}}, "required": ["a"]},
        {"properties": {"b": arm}, "required": ["b"]},
        {"type": "null"},
    ]
    return {"$defs": {"n": {"anyOf": arms}}, "$ref": "#/$defs/n"}


def choices(count: int, second: str) -> dict[str, Any]:
    return {"allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"{second}{i}"]}]} for i in range(count)]}


def doubling(levels: int, leaf: Any) -> dict[str, Any]:
    definitions = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": leaf}}


def one_of(count: int, limit: int) -> dict[str, Any]:
    return {
        "oneOf": [
            {"properties": {f"p{i}": {"type": "integer", "minimum": limit}}, "required": [f"p{i}"]}
            for i in range(count)
        ]
    }


LOOP = {
    "$ref": "#/$defs/a",
    "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
}
PROPERTIES = {"properties": {f"p{i}": {"type": "string"} for i in range(10_000)}}
MORE_PROPERTIES = {"properties": {f"p{i}": {"type": ["string", "null"]} for i in range(10_000)}}
CROSSED = {
    "$defs": {
        f"n{i}": {"type": "object", "properties": {str(j): {"$ref": f"#/$defs/n{(i * j) % 40}"} for j in range(40)}}
        for i in range(40)
    },
    "$ref": "#/$defs/n1",
}
NOT_NOT = {"not": {"not": {"not": {"anyOf": [choices(6, "c"), two_arms("x")["$defs"]["n"]["anyOf"][2]]}}}}

HOSTILE = {
    "an anyOf whose two arms come back": (two_arms("x"), two_arms("y")),
    "2^24 combinations": (choices(24, "b"), choices(24, "c")),
    "2^24 combinations on one side": (choices(24, "b"), {"required": ["x"]}),
    "2^60 references": (doubling(60, {"type": "string"}), doubling(60, {"type": "string", "maxLength": 3})),
    "10,000 properties": (PROPERTIES, MORE_PROPERTIES),
    "references that go round": (LOOP, {"type": "string"}),
    "references that cross": (CROSSED, {**CROSSED, "minProperties": 1}),
    "an object inside an object, 60 times": (nested(60, {"type": "string"}), nested(60, {"type": "integer"})),
    "an object inside an object, 400 times": (nested(400, {"type": "string"}), nested(400, {"type": "integer"})),
    "a oneOf of 200": (one_of(200, 0), one_of(200, 1)),
    "a list of 20,000 values": ({"enum": list(range(20_000))}, {"enum": list(range(1, 20_001))}),
    "not of not of not": (NOT_NOT, {**NOT_NOT, "minProperties": 1}),
    "a tiny divisor": ({"multipleOf": 1e-300}, {"multipleOf": 3e-300}),
    "a bound that no double holds": ({"minimum": 10**400}, {"minimum": 10**400 + 1}),
    "a pattern that repeats": (
        {"type": "string", "pattern": "^(a{1,50}){1,20}$"},
        {"type": "string", "pattern": "^b{1000}$"},
    ),
}


@pytest.mark.parametrize(("old", "new"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_pair_is_refused_before_it_can_hurt(old, new):
    with that_ends():
        verdict = check(new, [EarlierVersion(version=1, document=old)], mode=Mode.FULL, policy=Policy.STRICT)

    assert not verdict.is_compatible


def test_a_hundred_hostile_versions_are_refused_together_before_they_can_hurt():
    versions = [EarlierVersion(version=i, document=choices(20, f"b{i}")) for i in range(100)]
    with that_ends():
        verdict = check(choices(20, "x"), versions, mode=Mode.FULL_TRANSITIVE)

    assert not verdict.is_compatible


def test_a_comparison_that_takes_too_much_work_is_reported_as_undecided():
    verdict = check(
        choices(24, "c"), [EarlierVersion(version=7, document=choices(24, "b"))], mode=Mode.BACKWARD, steps=0
    )

    [difference] = verdict.differences
    assert difference.rule == "CANNOT_DECIDE"
    assert not difference.decided
    assert difference.version == 7
    assert "too much work" in difference.description


def test_a_schema_that_cannot_be_compiled_is_not_decided():
    verdict = check({"type": "objekt"}, [EarlierVersion(version=1, document={})], mode=Mode.FULL)

    assert {difference.rule for difference in verdict.differences} == {"CANNOT_DECIDE"}


def test_the_same_hostile_schema_again_is_compatible_at_once():
    verdict = check(LOOP, [EarlierVersion(version=1, document=LOOP)], mode=Mode.FULL_TRANSITIVE, policy=Policy.STRICT)

    assert verdict.is_compatible


def test_a_question_that_the_work_ran_out_for_is_not_taken_for_answered():
    writer, reader = Library({"type": ["string", "number"]}, {}), Library({"type": "string"}, {})
    prover = Prover(Budget(1_000), tells_integers=False)
    shape = prover.shapes.of([writer.main.root])
    with pytest.raises(OutOfBudget), prover.budget.limit(0):
        prover.within(shape, reader.main.root)
    with pytest.raises(OutOfBudget), prover.budget.limit(0):
        prover.satisfiability.is_empty(prover.shapes.of([reader.main.root]))

    # Further down, a question that is being asked counts as answered with yes.
    assert [finding.rule.name for finding in prover.below(shape, reader.main.root)] == ["TYPE_NARROWED"]
