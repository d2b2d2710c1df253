"""A back-test counts the events that a schema would refuse, grouped by violation."""

import pytest

from synapse.schema import backtest, validator
from synapse.schema.backtest import back_test, generalise_place


def compiled(**document):
    return validator.compile_schema(document)


def numbered(*events):
    return [(f"{number}-0", event) for number, event in enumerate(events, start=1)]


def rules(report):
    return [(reason.keyword, reason.schema_pointer, reason.pointer, reason.events) for reason in report.reasons]


def test_events_that_are_accepted_leave_nothing_to_say():
    report = back_test(compiled(required=["n"]), numbered({"n": 1}, {"n": 2}))

    assert (report.events, report.refused, report.explained, report.reasons) == (2, 0, 0, [])


def test_violations_are_counted_by_rule_and_place_the_commonest_first():
    schema = compiled(required=["n"], properties={"n": {"type": "integer"}})

    report = back_test(schema, numbered({"n": "x"}, {}, {"n": 1.5}, {"n": 3}))

    assert (report.events, report.refused) == (4, 3)
    assert rules(report) == [("type", "/properties/n/type", "/n", 2), ("required", "/required", "", 1)]


def test_a_reason_shows_its_first_examples_each_with_its_own_sentence_and_where_it_began_and_ended():
    report = back_test(compiled(properties={"n": {"minimum": 0}}), numbered(*({"n": -n} for n in range(1, 6))))

    (reason,) = report.reasons
    assert (reason.first, reason.last, reason.events) == ("1-0", "5-0", 5)
    assert reason.message == "“n” must be 0 or more, but is -1."
    assert [(example.id, example.message[-3:]) for example in reason.examples] == [
        ("1-0", "-1."),
        ("2-0", "-2."),
        ("3-0", "-3."),
    ]


def test_items_of_an_array_are_one_place_and_an_event_counts_once_for_it():
    schema = compiled(properties={"lines": {"items": {"properties": {"price": {"type": "number"}}}}})

    report = back_test(schema, numbered({"lines": [{"price": "1"}, {"price": 2}, {"price": "3"}]}))

    assert rules(report) == [("type", "/properties/lines/items/properties/price/type", "/lines/*/price", 1)]
    assert report.reasons[0].examples[0].pointer == "/lines/0/price"


def test_names_that_the_schema_leaves_open_are_one_place_also_behind_references():
    schema = compiled(
        **{"$defs": {"scores": {"additionalProperties": {"type": "number"}}}},
        properties={"scores": {"$ref": "#/$defs/scores"}, "tags": {"patternProperties": {"^x": {"type": "string"}}}},
    )

    report = back_test(schema, numbered({"scores": {"ada": "1"}}, {"scores": {"bob": "2"}}, {"tags": {"x1": 1}}))

    assert rules(report) == [
        ("type", "/$defs/scores/additionalProperties/type", "/scores/*", 2),
        ("type", "/properties/tags/patternProperties/^x/type", "/tags/*", 1),
    ]


def test_each_missing_property_is_a_reason_of_its_own():
    report = back_test(compiled(required=["a", "b"]), numbered({"a": 1}, {"b": 1}, {"b": 2}))

    assert [(reason.message, reason.events) for reason in report.reasons] == [
        ("The event must have the property “a”.", 2),
        ("The event must have the property “b”.", 1),
    ]


def test_events_that_the_active_version_refuses_are_counted_apart_from_newly_refused_ones():
    active, candidate = compiled(required=["a"]), compiled(required=["b"])

    report = back_test(candidate, numbered({"a": 1}, {"b": 1}, {}, {"a": 1, "b": 1}), active=active)

    assert (report.refused, report.refused_by_active, report.newly_refused) == (2, 2, 1)


def test_without_an_active_version_all_that_is_refused_is_new():
    report = back_test(compiled(required=["b"]), numbered({}, {"b": 1}))

    assert (report.refused_by_active, report.newly_refused) == (None, 1)


def test_a_schema_that_breaks_everywhere_is_explained_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(backtest, "MOST_FINDINGS", 10)
    schema = compiled(properties={name: {"type": "string"} for name in "abcde"})

    report = back_test(schema, numbered(*[dict.fromkeys("abcde", 1)] * 100))

    assert (report.refused, report.explained) == (100, 2)
    assert [reason.events for reason in report.reasons] == [2] * 5


def test_the_reasons_are_bounded_and_the_report_says_that_there_are_more():
    names = [f"p{n}" for n in range(backtest.MOST_REASONS + 5)]
    schema = compiled(properties={name: {"type": "string"} for name in names})

    report = back_test(schema, numbered(*({name: 1} for name in names)))

    assert len(report.reasons) == backtest.MOST_REASONS
    assert report.more_reasons
    assert report.refused == report.explained == len(names)


GENERALISED = [
    (["a", 0, "b"], ["properties", "a", "items", "properties", "b", "type"], "/a/*/b"),
    (["a", 1], ["properties", "a", "prefixItems", 1, "const"], "/a/*"),
    (["m", "k"], ["properties", "m", "additionalProperties", "type"], "/m/*"),
    (["m", "k"], ["properties", "m", "unevaluatedProperties", "type"], "/m/*"),
    (["m"], ["properties", "m", "additionalProperties"], "/m"),
    (["properties", "items"], ["properties", "properties", "properties", "items", "type"], "/properties/items"),
    (["a", "k"], ["allOf", 0, "$ref", "properties", "a", "anyOf", 1, "additionalProperties", "type"], "/a/*"),
    (["a", "b"], ["if", "then", "dependentSchemas", "properties", "properties", "a", "properties", "b", "x"], "/a/b"),
    (["a", "k", "b"], ["properties", "a", "something-new"], "/a/k/b"),
]


@pytest.mark.parametrize(("place", "way", "shown"), GENERALISED)
def test_a_place_is_generalised_by_the_way_there(place, way, shown):
    assert "".join(f"/{part}" for part in generalise_place(place, way)) == shown
