"""Filters that cannot be used: what people are told of them, and expressions that would take long."""

import sys

import pytest

from synapse.errors.streams import BadFilterExpression
from synapse.filters import compile_filter
from synapse.filters.properties import MOST_WORK
from synapse.filters.tokens import MOST_CHARACTERS, MOST_NODES
from tests.filters.hostile import HOSTILE, large_event
from tests.tables import for_each

REFUSALS = {
    "": (1, "The filter is empty."),
    "event.n =": (9, "“==” compares"),
    "event.n = 3": (9, "“==” compares"),
    "event.n == ": (12, "ends too early"),
    "event.n == )": (12, "“)” closes no bracket"),
    "(event.n == 3": (1, "“(” is not closed"),
    "event.n == (3 + )": (17, "“)” was not expected"),
    'event.n == "abc': (12, "is not closed by its quote"),
    "event.n == 3 4": (14, "“4” was not expected"),
    "event.n == 3 and event.m == 4": (14, "“and” is written &&"),
    "NOT event.n": (1, "“NOT” is written !"),
    "event.n & 3": (9, "“&&” is “and”"),
    "event.n == “failed”": (12, "straight quotes"),
    "event.`order-id` == 3": (7, 'event["order-id"]'),
    "event.n == 3 // comment": (14, "no comments"),
    "order.n == 3": (1, "there is no “order” to filter by; there are event, event_type, id, stream"),
    "event.n == failed": (12, "texts in quotes"),
    "event.n == 99999999999999999999": (12, "“99999999999999999999” does not fit into a number of 64 bits"),
    r'event.n == "\q"': (12, "unknown escape"),
    'event["\\q"] == 1': (7, "a backslash"),
    "event.n.lower() == 3": (9, "there is no function “lower” in a filter; there are has, size"),
    'event.n.matches("[")': (17, "The pattern “[”"),
    'event.n.matches("(a+)+$")': (17, "exponential time"),
    'event.n == "a\\x4"': (12, "unknown escape"),
    "event.n.matches(event.m)": (9, "takes a pattern in quotes"),
    '"a".matches("b")': (5, "takes a pattern in quotes"),
    'matches(event.n, "b")': (1, "takes a pattern in quotes"),
    "has(3)": (1, "has(event.coupon)"),
    "has(true)": (1, "has(event.coupon)"),
    'contains(event.n, "a")': (1, 'is used as in event.name.contains("x")'),
    'event.n.contains("a", "b")': (9, 'is used as in event.name.contains("x")'),
    "event.n.startsWith()": (9, 'is used as in event.name.startsWith("x")'),
    "size() == 1": (1, "is used as in size(event.coupon)"),
    'size("ü") == 1': (1, "is used as in size(event.coupon)"),
    "size(event.a + event.b) == 1": (1, "is used as in size(event.coupon)"),
    'size("a", [1, 2]) == 1': (1, "is used as in size(event.coupon)"),
    "event.n.int() == 1": (9, "is used as in int(event.coupon)"),
    "getHours(event.n) == 1": (1, "is used as in timestamp(event.at).getHours()"),
    '"order-4711"': (1, "is a value and no condition"),
    "event.a == 1 || 4711": (17, "is a value and no condition"),
    "has(event.n == 3)": (1, "has(event.coupon)"),
    '"é" == 1 ) 2': (10, "“)” closes no bracket"),
    '"é😀" == 1 1': (11, "“1” was not expected"),
}


@for_each("text", REFUSALS)
def test_a_filter_that_cannot_be_parsed_is_a_problem_with_the_character_and_an_example(text):
    position, said = REFUSALS[text]

    with pytest.raises(BadFilterExpression) as refusal:
        compile_filter(text, parameter="filter")

    assert refusal.value.status == 400
    assert refusal.value.members == {"position": position, "parameter": "filter"}
    assert said in refusal.value.detail
    assert f"At character {position}: " in refusal.value.detail
    assert 'event.status == "failed" && event.attempts > 3' in refusal.value.detail


def test_the_example_of_a_refusal_is_a_filter_that_works():
    with pytest.raises(BadFilterExpression) as refusal:
        compile_filter("")

    example = refusal.value.detail.partition("A filter that works: ")[2].removesuffix(".")
    assert compile_filter(example).matches({"event": {"status": "failed", "attempts": 4}})


@for_each("text", HOSTILE)
def test_a_hostile_filter_is_refused_or_does_a_bounded_amount_of_work(text):
    try:
        hostile = compile_filter(text)
    except BadFilterExpression:
        return

    assert hostile.matches({"event": large_event(), "id": "1-0"}) in (True, False)
    assert 0 <= hostile.work_of({"event": large_event(), "id": "1-0"}) <= MOST_WORK


def test_the_library_never_sees_an_expression_that_is_nested_deeply(monkeypatch):
    seen = []
    monkeypatch.setattr("synapse.filters.filter.load_cel", lambda: seen.append(1))

    for text in ("(" * 400 + "1" + ")" * 400, "!" * 400 + "true", "event" + ".a" * 400, "x" * (MOST_CHARACTERS + 1)):
        with pytest.raises(BadFilterExpression):
            compile_filter(text)

    assert not seen


def test_a_filter_of_as_many_nodes_and_characters_as_are_allowed_is_taken():
    text = " + ".join(["1"] * (MOST_NODES // 2 - 1)) + " == 1"

    assert not compile_filter(text.rjust(MOST_CHARACTERS)).matches({})
    with pytest.raises(BadFilterExpression, match="50 names, values, operators and functions, and this one 51"):
        compile_filter(text + " || true")


def test_a_value_that_takes_too_much_work_meets_no_comparison():
    numbers = {"event": {"numbers": list(range(100_000)), "status": "failed"}}
    more = {"event": {"numbers": list(range(300_000)), "status": "failed"}}

    assert compile_filter("99999 in event.numbers").matches(numbers)
    assert not compile_filter("99999 in event.numbers").matches(more)
    assert compile_filter('99999 in event.numbers || event.status == "failed"').matches(more)
    tags = {"event": {"tags": [f"tag {number}" for number in range(300_000)]}}
    assert compile_filter('"tag 299999" in event.tags && !("tag" in event.tags)').matches(tags)
    assert compile_filter("size(event.numbers) == 300000 && event.numbers[299999] == 299999").matches(more)


def test_the_librarys_command_line_is_not_loaded():
    compile_filter("true")

    assert "cel.cli" not in sys.modules
