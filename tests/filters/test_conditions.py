"""Which messages meet a filter: comparisons, missing properties, values of other types, functions."""

import pytest

from synapse.filters import compile_filter
from synapse.filters.library import load_cel
from tests.tables import for_each

EVENT = {
    "status": "failed",
    "attempts": 3,
    "score": 3.5,
    "vip": True,
    "coupon": None,
    "city": "Zürich",
    "tags": ["urgent", "night"],
    "items": [{"sku": "A-1", "amount": 2}, {"sku": "B-7", "amount": 1}],
    "customer": {"address": {"country": "DE"}},
    "order-id": 4711,
    "size": 4,
    "in": 5,
    "placed_at": "2024-01-15T10:30:00Z",
    "large": 2**63 + 5,
    "huge": 10**30,
    "exact": 2**53 + 1,
    "number": "45",
}
ROW = {
    "id": "1705314600000-0",
    "stream": "orders",
    "event": EVENT,
    "event_type": "order-placed",
    "timestamp": "2024-01-15T10:30:00.000Z",
    "source": "shop",
    "contract_version": None,
    "layout": "flat",
    "data": {"attempts": "3"},
}

MET = [
    'event.status == "failed"',
    "event.status == 'failed' && event.attempts > 2",
    'event.status == "done" || event.attempts >= 3',
    "event.attempts == 3.0",
    "event.attempts < 3.5 && event.score > 3",
    "event.attempts + 1 == 4 && event.attempts * 2 == 6 && event.attempts % 2 == 1",
    "-event.attempts < 0",
    "event.attempts in [1, 2, 3]",
    '"urgent" in event.tags',
    '"urgent" in event.tags && ("lost" in event.tags || "night" in event.tags)',
    '"urgent" in event.tags ? "night" in event.tags : false',
    '["urgent" in event.tags, false][0] && ("urgent" in event.tags) == true',
    '("urgent" in event.tags) != ("lost" in event.tags)',
    '"ur" + "gent" in event.tags && "urgent" in event.tags + ["other"]',
    '"sku" in event.items[0] && "country" in event.customer.address && !("x" in event.tags)',
    '!("urgent" in event.absent) && !("urgent" in event.attempts)',
    'event.tags == ["urgent", "night"]',
    'event.city == "Zürich" && event.city.startsWith("Zü") && event.city > "Zu"',
    'event["order-id"] == 4711',
    "event['customer']['address'].country == \"DE\"",
    'event.customer.address == {"country": "DE"}',
    'event.items[1].sku == "B-7"',
    'event.items[event.items[1].amount].sku == "B-7"',
    "event.size == 4 && event.in == 5",
    "size(event.tags) == 2 && event.items.size() == 2 && size(event.customer) == 1",
    'event.status.contains("ail") && event.status.endsWith("ed")',
    '"order failed".contains(event.status)',
    r'event.items[0].sku.matches("^[A-C]-\\d$")',
    r"event.items[0].sku.matches(r'^[A-C]-\d$')",
    'event.status.matches("(?i)^FAILED$")',
    "event.vip",
    "event.vip == true && !(event.vip == false)",
    "!event.vip == false",
    "event.vip ? event.attempts == 3 : event.attempts == 4",
    "event.coupon == null && has(event.coupon)",
    "event.large > 9223372036854775807 && event.huge > 1e29",
    "event.exact > 9007199254740992",
    "int(event.number) == 45 && double(event.number) < 45.5 && int(data.attempts) == 3",
    'string(event.attempts) == "3"',
    'timestamp(event.placed_at) < timestamp("2024-01-15T12:00:00+01:00")',
    "timestamp(event.placed_at).getFullYear() == 2024",
    'timestamp(timestamp) < timestamp("2024-01-15T12:00:00Z") && timestamp.startsWith("2024-")',
    "timestamp(event.placed_at).getMonth() == 0 && timestamp(event.placed_at).getDate() == 15",
    "timestamp(event.placed_at).getDayOfMonth() == 14 && timestamp(event.placed_at).getDayOfYear() == 14",
    "timestamp(event.placed_at).getDayOfWeek() == 1 && timestamp(event.placed_at).getHours() == 10",
    "timestamp(event.placed_at).getMinutes() == 30 && timestamp(event.placed_at).getSeconds() == 0",
    "timestamp(event.placed_at).getMilliseconds() == 0 && uint(event.number) == 45u",
    'timestamp(event.placed_at) + duration("1h") > timestamp("2024-01-15T11:00:00Z")',
    'id == "1705314600000-0" && stream == "orders" && event_type == "order-placed" && source == "shop"',
    'timestamp >= "2024-01-15" && timestamp < "2024-02"',
    'contract_version == null && layout == "flat"',
    '(event.attempts == 3 || event.attempts == 4) && (event.status == "failed")',
    "(event.attempts + 1) * 2 == 8",
    "true",
]
NOT_MET = [
    "event.attempts == 4",
    'event.attempts == "3"',
    "event.number == 45",
    "event.vip == 1",
    "event.attempts",
    "event.status",
    "event.attempts + 1",
    "false",
    'event.items[0].sku == "B-7"',
    'event.items[2].sku == "B-7"',
    'event.items["0"].sku == "A-1"',
    '"abc" in event.status',
    '"lost" in event.tags',
    '"3" in [event.attempts]',
    '"urgent" in event.attempts',
    '"urgent" in event.absent',
    '!("urgent" in event.tags)',
    '!"urgent" in event.tags',
    '"ur" + "gent" in event.items',
    '"1" in event.items[0]',
]


@for_each("text", MET)
def test_a_message_meets_a_filter_whose_conditions_hold(text):
    assert compile_filter(text).matches(ROW)


@for_each("text", NOT_MET)
def test_a_message_does_not_meet_a_filter_whose_conditions_do_not_hold(text):
    assert not compile_filter(text).matches(ROW)


def test_filters_mean_what_the_library_says_of_the_whole_message():
    answers = {}
    for text in MET + NOT_MET:
        try:
            answers[text] = load_cel().compile(text).execute(ROW) is True
        except Exception:
            continue  # there a filter departs from CEL

    assert len(answers) > 0.8 * len(MET + NOT_MET)
    assert answers == {text: compile_filter(text).matches(ROW) for text in answers}


@pytest.mark.parametrize("operator", ["==", "<", "<=", ">", ">="])
@pytest.mark.parametrize("place", ["event.absent", "event.absent.deeper", "event.status.deeper", "event.items[9]"])
def test_a_comparison_with_a_missing_property_is_false_and_its_negation_true(place, operator):
    assert not compile_filter(f"{place} {operator} 3").matches(ROW)
    assert compile_filter(f"!({place} {operator} 3)").matches(ROW)


def test_a_missing_property_is_null_and_differs_from_every_value():
    assert compile_filter("event.absent == null").matches(ROW)
    assert compile_filter("event.absent != 3").matches(ROW)
    assert compile_filter("!has(event.absent) && !has(event.absent.deeper)").matches(ROW)
    assert not compile_filter("event.absent").matches(ROW)
    assert compile_filter("!event.absent").matches(ROW)


def test_the_size_of_a_text_is_the_number_of_its_characters():
    assert compile_filter("event.city.size() == 6 && size(event.city) == 6 && size(event.tags[0]) == 6").matches(ROW)


def test_a_condition_without_an_answer_leaves_the_others_their_answers():
    assert compile_filter('event.absent > 3 || event.status == "failed"').matches(ROW)
    assert not compile_filter('event.absent > 3 && event.status == "failed"').matches(ROW)
    assert compile_filter('event.status > 3 ? false : event.status == "failed"').matches(ROW)


@pytest.mark.parametrize(
    "condition",
    [
        "event.status > 3",
        "event.tags < 3",
        "event.vip < 3",
        "event.attempts < event.status",
        "event.attempts / 0 == 1",
        "event.attempts + event.status == 3",
        "9223372036854775807 + event.attempts > 0",
        "int(event.status) == 3",
        'timestamp(event.status) < timestamp("2024-01-01T00:00:00Z")',
        "size(event.attempts) == 1",
        "size(event.absent) == 0",
        'event.attempts.matches("3")',
        'event.attempts.startsWith("3")',
        "event.tags[event.attempts] == null",
    ],
)
def test_a_condition_without_an_answer_is_false_and_its_negation_true(condition):
    assert not compile_filter(condition).matches(ROW)
    assert compile_filter(f"!({condition})").matches(ROW)


def test_an_exclamation_mark_belongs_to_the_value_before_a_comparison():
    # As in CEL and C: (!event.attempts) == 3 has no answer.
    assert not compile_filter("!event.attempts == 3").matches(ROW)
    assert not compile_filter("!event.attempts == 4").matches(ROW)


@pytest.mark.parametrize("row", [{}, {"event": None}, {"event": "text"}, {"event": {}, "data": {}}, {"event": [1]}])
def test_entries_of_other_programs_meet_no_comparison_and_are_no_error(row):
    assert not compile_filter('event.status == "failed" && id != null').matches(row)
    assert compile_filter("event.status != 3").matches(row)


def test_a_text_with_half_of_a_surrogate_pair_meets_no_comparison():
    row = {"event": {"name": "\ud800", "status": "failed"}}

    assert not compile_filter('event.name == "a"').matches(row)
    assert compile_filter('event.name == "a" || event.status == "failed"').matches(row)
    assert not compile_filter('event.name.matches("a")').matches(row)


def test_a_fault_within_the_library_is_no_error_of_a_message(monkeypatch):
    class PanicException(BaseException):
        """As the library raises it."""

    class Panicking:
        Context = load_cel().Context

        def compile(self, text):
            return self

        def references(self):
            return {"variables": [], "functions": []}

        def execute(self, context):
            raise PanicException

    monkeypatch.setattr("synapse.filters.conditions.load_cel", Panicking)

    assert not compile_filter("event.attempts == 3").matches(ROW)


def test_a_filter_tells_what_it_uses_of_a_message():
    assert compile_filter('event.a == data.b && has(event.c) && source.matches("x")').names == {
        "event",
        "data",
        "source",
    }


def test_properties_of_other_rows_can_be_named():
    assert compile_filter("attempts > 3", names=("attempts",)).matches({"attempts": 4})
