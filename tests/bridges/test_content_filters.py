"""Filters of a bridge on the content of events."""

import pytest

from synapse.catalog import filters
from synapse.catalog.filters import BadFilter
from synapse.delivery import retry
from synapse.delivery.retry import BadWait
from tests.bridges.cast import STREAM, places
from tests.tables import for_each

EVENT = {
    "event_type": "order-placed",
    "total": 100,
    "customer": {"country": "DE", "vip": True, "since": None, "tags": ["a", 1]},
    "a.b": "flat",
    "a": {"b": "deep"},
    "zero": 0,
}


@for_each(
    "path, op, value, holds",
    [
        ("total", "eq", 100, True),
        ("total", "eq", 100.0, True),
        ("total", "eq", "100", False),
        ("zero", "eq", False, False),
        ("customer", "eq", EVENT["customer"], True),
        ("customer.since", "eq", None, True),
        ("missing", "eq", None, False),
        ("total", "ne", 100, False),
        ("total", "ne", 7, True),
        ("missing", "ne", 7, True),
        ("customer.country", "in", ["FR", "DE"], True),
        ("customer.country", "in", ["FR"], False),
        ("missing", "in", [None], False),
        ("total", "lt", 101, True),
        ("total", "lt", 100, False),
        ("total", "le", 100, True),
        ("total", "gt", 99.5, True),
        ("total", "ge", 100, True),
        ("total", "ge", 101, False),
        ("total", "gt", "1", False),
        ("customer.vip", "ge", 1, False),
        ("customer.country", "gt", "DD", True),
        ("customer.tags", "lt", 5, False),
        ("customer.country", "prefix", "D", True),
        ("customer.country", "prefix", "E", False),
        ("total", "prefix", "1", False),
        ("customer.since", "exists", True, True),
        ("customer.since", "exists", False, False),
        ("customer.nothing", "exists", False, True),
        ("total.country", "exists", True, False),
        ("a.b", "eq", "flat", True),
        ("customer.tags.0", "exists", True, False),
    ],
)
def test_a_filter_holds_for_the_events_that_meet_it(path, op, value, holds):
    (one,) = filters.read_filters([{"property": path, "op": op, "value": value}])

    assert one.holds(EVENT) is holds


def test_the_operator_exists_needs_no_value():
    (one,) = filters.read_filters([{"property": "total", "op": "exists"}])

    assert one.holds(EVENT)


@for_each(
    "given, said",
    [
        ({}, "A list of filters"),
        ([{}] * 21, "At most 20 filters."),
        (["total > 1"], "Filter 1: must be a mapping with property, op and value, but is the text “total > 1”."),
        ([{"property": "a", "op": "eq", "value": 1, "or": 2}], "there is no “or” in a filter"),
        ([{"op": "eq", "value": 1}], "“property” must be a name"),
        ([{"property": "", "op": "eq", "value": 1}], "“property” must be a name"),
        ([{"property": "x" * 201, "op": "eq", "value": 1}], "“property” must be a name"),
        ([{"property": ".".join("x" * 11), "op": "eq", "value": 1}], "“property” must be a name"),
        ([{"property": "a", "op": "matches", "value": 1}], "“op” is the text “matches”; known here: eq"),
        ([{"property": "a", "op": ["eq"], "value": 1}], "“op” is a list"),
        ([{"property": "a", "op": "eq"}], "“value” is missing: what eq compares with."),
        ([{"property": "a", "op": "in", "value": []}], "“value” must be a list of 1 to 100 values for in"),
        ([{"property": "a", "op": "in", "value": "abc"}], "“value” must be a list"),
        ([{"property": "a", "op": "lt", "value": True}], "“value” must be a number or text for lt, but is true."),
        ([{"property": "a", "op": "prefix", "value": 1}], "“value” must be text for prefix, but is the number 1."),
        ([{"property": "a", "op": "exists", "value": 1}], "“value” must be true or false for exists"),
        ([{"property": "a", "op": "exists"}, 7], "Filter 2: must be a mapping"),
    ],
)
def test_an_invalid_filter_is_refused_with_the_reason(given, said):
    with pytest.raises(BadFilter) as caught:
        filters.read_filters(given)

    assert said in str(caught.value)


def test_events_that_fail_a_filter_are_acknowledged_and_counted_as_filtered(redis, bridge):
    ids = [redis.xadd(STREAM, {"event_type": "order-placed", "total": total}).decode() for total in (5, 50, 500)]
    redis.xadd(STREAM, {"event_type": "order-placed"})
    where = filters.read_filters(
        [{"property": "total", "op": "gt", "value": 10}, {"property": "total", "op": "lt", "value": 100}]
    )

    consumer = bridge(where=lambda delivery: filters.all_hold(where, delivery.event)).run_dry()

    assert consumer.sink.ids == ids[1:2]
    assert places(redis) == {"done": 1, "filtered": 3}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [([], ()), ([0, 5, 1.5], (0, 5, 1.5)), (["30s", "5m", "2 h", "1d", "0.5s"], (30, 300, 7200, 86_400, 0.5))],
)
def test_waits_are_numbers_of_seconds_or_texts_with_a_unit(given, seconds):
    assert retry.read_schedule(given) == seconds


@for_each("given", ["5m", [True], ["5"], ["5 weeks"], [-1], ["8d"], [None], [1e300], [float("nan")], [1] * 101])
def test_an_invalid_retry_schedule_is_refused(given):
    with pytest.raises(BadWait):
        retry.read_schedule(given)
