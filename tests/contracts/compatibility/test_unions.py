"""Unions of many kinds of events, told apart by a constant, are evolved like single events."""

import copy
import os
import subprocess
import sys
from typing import Any

import pytest

from synapse.compatibility import (
    CompatibilityResult,
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from tests.chaos.profile import FULL
from tests.contracts.compatibility.schemas import DRAFTS, validator_of
from tests.contracts.compatibility.test_hostile_schemas import HOSTILE
from tests.tables import for_each

# The largest has more members than an answer that tries all combinations can afford.
SIZES = (2, 15, 60) if FULL else (2, 30)
WORDS = ("oneOf", "anyOf")
NOTE = {"note": {"type": "string"}}
ADDED = {"PROPERTY_ADDED_TO_OPEN_OBJECT"}

Schema = dict[str, Any]


def compare(old: Schema, new: Schema, old_references: Any = None, references: Any = None) -> CompatibilityResult:
    earlier = [EarlierVersion(version=1, document=old, references=old_references or {})]
    return check(new, earlier, mode=Mode.BACKWARD, policy=Policy.LENIENT, references=references or {})


def member(number: int, tag: Schema | None = None) -> Schema:
    properties = {"kind": tag or {"const": f"k{number}"}, "id": {"type": "string"}}
    return {"type": "object", "properties": properties, "required": ["kind", "id"]}


def members(count: int, tag: Any = None) -> list[Schema]:
    return [member(number, tag and tag(number)) for number in range(count)]


def with_note(union: list[Schema], number: int = 1) -> list[Schema]:
    changed = copy.deepcopy(union)
    changed[number]["properties"] |= NOTE
    return changed


TAGS: dict[str, Any] = {
    "const": lambda number: {"const": f"k{number}"},
    "enum of one": lambda number: {"enum": [f"k{number}"]},
    "enum of two": lambda number: {"enum": [f"k{number}", f"other{number}"]},
    "const with its type": lambda number: {"type": "string", "const": f"k{number}"},
    "numbers": lambda number: {"const": number},
    "const behind a reference": lambda number: {"$ref": f"#/$defs/{number}"},
}
DEFINITIONS = {"$defs": {str(number): {"const": f"k{number}"} for number in range(61)}}


@for_each("tag", TAGS)
@for_each("count", SIZES)
@for_each("word", WORDS)
def test_a_union_gains_a_member_or_one_member_gains_an_optional_property(word, count, tag):
    union = members(count, TAGS[tag])
    old = {word: union, **DEFINITIONS}

    assert compare(old, {word: members(count + 1, TAGS[tag]), **DEFINITIONS}) == CompatibilityResult(is_compatible=True)
    noted = compare(old, {word: with_note(union), **DEFINITIONS})
    assert noted.is_compatible
    assert {it.rule for it in noted.allowed} == ADDED


@for_each("count", SIZES)
@for_each("word", WORDS)
def test_the_members_of_a_union_are_reordered_or_moved(word, count):
    union = members(count)
    moved = {
        word: [{"$ref": f"#/$defs/m{n}"} for n in range(count)],
        "$defs": {f"m{n}": it for n, it in enumerate(union)},
    }
    other_subjects = {word: [{"$ref": f"m{n}.json"} for n in range(count)]}
    references = {f"m{n}.json": it for n, it in enumerate(union)}

    assert compare({word: union}, {word: union[::-1]}).is_compatible
    assert compare({word: union}, moved).is_compatible
    assert compare({word: union}, other_subjects, references=references).is_compatible
    noted = {f"m{n}.json": it for n, it in enumerate(with_note(members(count + 1)))}
    more = {word: [*other_subjects[word], {"$ref": f"m{count}.json"}]}
    assert compare(other_subjects, more, references, noted).is_compatible


@for_each("count", SIZES)
@for_each("word", WORDS)
def test_the_constant_of_a_member_is_renamed_and_a_document_shows_it(word, count):
    old, new = {word: members(count)}, {word: members(count)}
    new[word][1]["properties"]["kind"] = {"const": "renamed"}

    verdict = compare(old, new)

    [difference] = verdict.differences
    assert difference.witness == {"kind": "k1", "id": ""}
    assert validator_of(old).is_valid(difference.witness)
    assert not validator_of(new).is_valid(difference.witness)


@for_each("count", SIZES)
def test_a_member_that_asks_for_more_is_found_among_many(count):
    old, new = {"oneOf": members(count)}, {"oneOf": members(count)}
    new["oneOf"][-1]["properties"]["id"] = {"type": "string", "minLength": 1}

    [difference] = compare(old, new).differences

    assert difference.witness == {"kind": f"k{count - 1}", "id": ""}


@for_each("count", SIZES)
def test_members_that_are_told_apart_deep_inside_are_paired(count):
    def nested(number: int) -> Schema:
        inner = {"type": "object", "properties": {"name": {"const": f"n{number}"}}, "required": ["name"]}
        return {"type": "object", "properties": {"type": inner, "id": {"type": "string"}}, "required": ["type"]}

    union = [nested(number) for number in range(count)]

    assert compare({"oneOf": union}, {"oneOf": [*union, nested(count)]}).is_compatible
    assert compare({"oneOf": union}, {"oneOf": with_note(union)}).is_compatible


def test_unions_inside_unions_are_paired():
    union = [{"anyOf": members(5, lambda it, part=part: {"const": f"{part}-{it}"})} for part in range(5)]
    changed = [{"anyOf": with_note(each["anyOf"])} for each in union]

    assert compare({"oneOf": union}, {"oneOf": changed}).is_compatible
    assert compare({"oneOf": union}, {"oneOf": members(25, lambda it: {"const": f"{it % 5}-{it // 5}"})}).is_compatible


def test_alternatives_that_are_told_apart_by_their_type_are_paired():
    old = {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}, {"type": "array"}, {"type": "object"}]}
    new = {"oneOf": [{"type": "boolean"}, *old["oneOf"][::-1]]}

    assert compare(old, new) == CompatibilityResult(is_compatible=True)


def test_alternatives_that_are_told_apart_by_the_one_property_that_they_allow_are_paired():
    def wrapping(number: int) -> Schema:
        name = f"event{number}"
        return {"type": "object", "properties": {name: {}}, "required": [name], "additionalProperties": False}

    old = {"oneOf": [wrapping(number) for number in range(30)]}

    assert compare(old, {"oneOf": [wrapping(number) for number in range(31)][::-1]}) == CompatibilityResult(
        is_compatible=True
    )


def test_an_object_of_many_kinds_may_become_a_union_and_back():
    kinds = {"enum": [f"k{number}" for number in range(60)]}
    one = member(0, kinds)

    assert compare(one, {"oneOf": members(60)}).is_compatible
    assert compare({"oneOf": members(60)}, one).is_compatible
    [missing] = compare(one, {"oneOf": members(59)}).differences
    assert missing.witness == {"kind": "k59", "id": ""}


@pytest.mark.parametrize("count", [2, 5])
def test_members_whose_constant_is_not_required_look_alike_and_do_not_exclude_each_other(count):
    union = [{**each, "required": ["id"]} for each in members(count)]

    [difference] = compare({"anyOf": union}, {"oneOf": union}).differences

    assert difference.witness == {"id": ""}
    assert compare({"anyOf": members(count)}, {"oneOf": members(count)}).is_compatible


@pytest.mark.parametrize(("first", "second"), [(1, 1.0), (0, -0.0)])
def test_constants_that_are_the_same_number_tell_nothing_apart(first, second):
    union = [member(0, {"const": first}), member(1, {"const": second})]

    [difference] = compare({"anyOf": union}, {"oneOf": union}).differences

    assert difference.decided


@for_each("draft", DRAFTS)
def test_unions_of_every_draft_are_paired(draft):
    union = {"$schema": DRAFTS[draft], "oneOf": members(30, lambda number: {"enum": [number]})}
    changed = {**union, "oneOf": with_note(members(31, lambda number: {"enum": [number]}))}

    assert compare(union, changed).is_compatible


def when(number: int, *, requires: bool = True) -> Schema:
    return {"properties": {"kind": {"const": f"k{number}"}}, **({"required": ["kind"]} if requires else {})}


def then(number: int) -> Schema:
    data = {"type": "object", "properties": {f"a{number}": {"type": "integer"}}, "required": [f"a{number}"]}
    return {"properties": {"data": data}, "required": ["data"]}


def chain(count: int, *, noted: int | None = None, requires: bool = True, kinds: int | None = None) -> Schema:
    base = member(0, {"enum": [f"k{number}" for number in range(kinds or count)]})
    links = [{"if": when(number, requires=requires), "then": then(number)} for number in range(count)]
    if noted is not None:
        links[noted]["then"]["properties"]["data"]["properties"] |= NOTE
    return {**base, "allOf": links}


def nested_chain(count: int, last: Any, noted: int | None = None) -> Schema:
    made = last
    for number in reversed(range(count)):
        made = {"if": when(number), "then": then(number), "else": made}
        if number == noted:
            made["then"]["properties"]["data"]["properties"] |= NOTE
    return {**member(0, {"type": "string"}), **made}


@for_each("requires", [True, False])
@for_each("count", SIZES)
def test_a_chain_of_conditions_is_evolved(count, requires):
    old = chain(count, requires=requires)

    assert compare(old, chain(count + 1, requires=requires)) == CompatibilityResult(is_compatible=True)
    noted = compare(old, chain(count, noted=1, requires=requires))
    assert noted.is_compatible
    assert {it.rule for it in noted.allowed} == ADDED
    assert compare(old, {**old, "allOf": old["allOf"][::-1]}).is_compatible


@for_each("count", SIZES)
def test_a_chain_of_conditions_inside_each_other_is_evolved(count):
    old = nested_chain(count, False)

    assert compare(old, nested_chain(count + 1, False)).is_compatible
    assert compare(old, nested_chain(count, False, noted=1)).is_compatible
    assert compare(nested_chain(count, {}), nested_chain(count, True)).is_compatible


@for_each("requires", [True, False])
@for_each("count", SIZES)
def test_a_chain_of_conditions_is_evolved_where_nothing_says_that_the_value_is_an_object(count, requires):
    def links(last: Any, noted: int | None = None) -> Schema:
        for number in reversed(range(count)):
            properties = {f"a{number}": {"type": "integer"}, **(NOTE if number == noted else {})}
            last = {"if": when(number, requires=requires), "then": {"properties": properties}, "else": last}
        return last

    noted = compare(links({}), links({}, noted=1))

    assert noted.is_compatible
    assert {it.rule for it in noted.allowed} == ADDED
    assert compare(links({"type": "object"}), links({"type": ["object", "null"]})).is_compatible


@for_each("count", SIZES)
def test_a_condition_for_a_kind_that_was_free_is_refused_with_a_document(count):
    old, new = chain(count, kinds=count + 1), chain(count + 1)

    assert {it.rule for it in compare(old, new).differences} >= {"REQUIRED_PROPERTY_ADDED"}
    assert all(it.witness == {"kind": f"k{count}", "id": ""} for it in compare(old, new).differences)


def test_a_union_becomes_a_chain_of_conditions_and_back():
    union = [{"allOf": [each, then(number)]} for number, each in enumerate(members(40))]

    assert compare({"oneOf": union}, chain(40)).is_compatible
    assert compare(chain(40), {"oneOf": union}).is_compatible


def verdicts() -> list[str]:
    """Return the verdicts on pairs of schemas with many equal ways to a verdict."""
    pairs = [HOSTILE["an anyOf whose two arms come back"], HOSTILE["2^24 combinations on one side"]]
    pairs += [({"oneOf": members(count)}, {"oneOf": with_note(members(count + 1))}) for count in (20, 60)]
    return [str(check(new, [EarlierVersion(version=1, document=old)], mode=Mode.FULL)) for old, new in pairs]


def test_the_answer_is_the_same_in_every_process():
    here = verdicts()

    for seed in ("1", "2") if FULL else ("1",):
        command = [sys.executable, "-c", f"from {__name__} import verdicts; print(verdicts())"]
        asked = {**os.environ, "PYTHONHASHSEED": seed}
        there = subprocess.run(command, env=asked, capture_output=True, text=True, check=True)
        assert there.stdout == f"{here}\n"


def test_the_answer_does_not_depend_on_the_clock(monkeypatch):
    monkeypatch.setattr("time.thread_time", lambda: 1e9)
    monkeypatch.setattr("time.monotonic", lambda: 1e9)

    assert compare({"oneOf": members(60)}, {"oneOf": with_note(members(60))}).is_compatible
