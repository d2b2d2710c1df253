"""A filter tells a caller without the right to PII nothing of a value that it may not see."""

import json
import re
from functools import cache
from urllib.parse import quote

import pytest

from streams.snapshot import holder
from synapse.filters import compile_filter
from synapse.filters.filter import FUNCTIONS
from synapse.formats import exact_json
from synapse.wire.encoding import decode_texts, encode
from synapse.wire.masking import entry_row, mask_of
from tests.pii.conftest import MASK

# Values that differ in text, length, type, size and order, in what they contain, and in being equal to each other. What
# a row shows of a value, such as the number of items in a list, is equal within a line.
VALUES = [
    [
        *("carla", "anna@example.org", "b", "", "ANNA@EXAMPLE.ORG", "é" * 300, "x" * 100_000, "2024-01-15T10:30:00Z"),
        *("90m", "7", 7, -7, 0, 7.5, 2**63, exact_json.loads("1" + "0" * 30), True, False, "null", "[7]", MASK),
    ],
    [[7], ["anna@example.org"], [7.5], [True], [""], ["x" * 100_000]],
    [{"first": "Anna"}, {"first": 7}, {"first": False}, {"first": "x" * 100_000}],
    [[[["a"]]], [[[7]]]],
]
PLACES = ("event.email", "event.card.holder", "data.email", "data.card", 'event["email"]', 'event["card"]["holder"]')
CONSTANTS = ('"anna@example.org"', '"b"', "7", "7.5", "true", "[]", '["a", "b"]', "{}", "7u")
QUESTIONS = [
    *(f"{{}} {operator} {constant}" for operator in ("==", "!=", "<", "<=", ">", ">=") for constant in CONSTANTS),
    *(f"{{}} {operator} 7 == 14" for operator in "+-*/%"),
    *("-{} == 7", "!{}", "{} ? true : false", "{} && true", "{} || false", "({} == 7) == ({} == 7)"),
    *('{} in ["anna@example.org", 7, true]', '"a" in {}', '"first" in {}', "{} in {}"),
    *("has({})", "has({}.first)", "{}.first == null", "{}[0] == null", "{}[event.n] == 7", '{}["size"] == 7'),
    *("size({}) > 3", "{}.size() > 3", "size({}) == size(event.email)"),
    *('{}.contains("a")', '{}.startsWith("a")', '{}.endsWith("g")', '{}.matches("^a")', '{}.matches("(?i)anna")'),
    *('"anna@example.org b".contains({})', '"anna@example.org".startsWith({})', '"anna".endsWith({})'),
    *("int({}) == 7", "uint({}) == 7u", "double({}) > 1.0", 'string({}) == "7"'),
    *('timestamp({}) > timestamp("2000-01-01T00:00:00Z")', 'duration({}) > duration("1m")'),
    *(f"timestamp({{}}).{each}() > 3" for each in FUNCTIONS if each.startswith("get")),
    *("{} == event.email", "{} == event.card.holder", "{} < event.card.holder", "event.card.holder < {}"),
    *("{} + {} == {}", "[{}] == [event.email]", "[{}, 1][0] == event.email", 'event == {{"email": {}}}'),
    *('size(event) == 4 && data.email == "7"', "event.card == {{}}", "size(event.card) == 2", "size(data.email) > 9"),
    *("data.synapse_types == null", 'data.synapse_types.contains("email")', "size(data) > 7", "has(data.payload)"),
]
FILTERS = [question.format(*[place] * 3) for question in QUESTIONS for place in PLACES]


def answers_of(stream, value, layout):
    """Return which filters a stored event with the value meets, as a caller without the right to PII sees it."""
    event = {"event_type": "order-placed", "email": value, "card": {"holder": value, "brand": "visa"}, "n": 0}
    parts = encode(event, layout=layout, timestamp="2024-01-15T10:30:00Z", source="shop", contract_version=1)
    fields = dict(zip(parts[::2], parts[1::2], strict=True))
    decoded = decode_texts(fields, types_of=stream.types_of)
    row = entry_row("1-0", fields, decoded, mask=mask_of(stream, decoded))
    return {each.text: each.matches({**row, "stream": "orders"}) for each in compiled()}


@cache
def compiled():
    return [compile_filter(text) for text in dict.fromkeys(FILTERS)]


def test_the_filters_of_this_test_have_all_operators_and_functions():
    said = " ".join(FILTERS)

    operators = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "!", "&&", "||", "?", " in ", "[")
    assert [each for each in operators if each not in said] == []
    assert [each for each in FUNCTIONS if not re.search(rf"\b{each}\(", said)] == []


@pytest.mark.parametrize("layout", ["flat", "dual"])
@pytest.mark.parametrize("alike", VALUES, ids=["plain values", "lists", "objects", "nested lists"])
def test_no_filter_tells_two_masked_values_apart(orders, alike, layout):
    stream = holder.current().streams["orders"]
    usual = answers_of(stream, alike[0], layout)

    for value in alike[1:]:
        differing = [text for text, met in answers_of(stream, value, layout).items() if met != usual[text]]
        assert differing == [], f"{value!r:.50} differs"


def test_messages_are_filtered_as_their_reader_sees_them(ask, orders, impersonal):
    for email in ("anna@example.org", "bert@example.org"):
        ask("POST", "/events/orders", json.dumps({"event_type": "order-placed", "email": email, "n": 7}))

    def found(text):
        return len(ask("GET", f"/streams/orders/messages?filter={quote(text)}").json["messages"])

    assert found('event.email == "anna@example.org"') == 0
    assert found('event.email.startsWith("a")') == 0
    assert found(f'event.email == "{MASK}"') == 2
    assert found("event.n == 7") == 2


def test_a_caller_that_may_see_pii_filters_by_it(ask, orders):
    for email in ("anna@example.org", "bert@example.org"):
        ask("POST", "/events/orders", json.dumps({"event_type": "order-placed", "email": email}))

    page = ask("GET", "/streams/orders/messages?filter=" + quote('event.email.startsWith("a")')).json

    assert [each["event"]["email"] for each in page["messages"]] == ["anna@example.org"]
