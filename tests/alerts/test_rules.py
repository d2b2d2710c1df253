"""Conditions, the rules that are on from the start, and the sentences for people."""

import re
from datetime import UTC, datetime

import pytest

from synapse.alerts.rules import CONDITIONS, DEFAULT_RULES, LONGEST, Rule
from synapse.alerts.subject import Subject, sentence_of, value_text
from synapse.formats.text import is_name
from synapse.metrics import METRICS

NOW = datetime(2026, 11, 23, 6, 14, tzinfo=UTC).timestamp()
ORDERS = Subject("group", "orders", "shop", "orders-to-shop")


def test_twelve_rules_are_on_from_the_start_each_for_another_condition():
    assert len(DEFAULT_RULES) == 12
    assert len({rule.condition for rule in DEFAULT_RULES}) == len({rule.name for rule in DEFAULT_RULES}) == 12
    assert all(rule.enabled and is_name(rule.name) and rule.description for rule in DEFAULT_RULES)
    assert {rule.condition for rule in DEFAULT_RULES} <= CONDITIONS.keys()


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_expression_of_a_condition_names_metrics_that_there_are(name):
    known = {metric.name for metric in METRICS}
    asked = set(re.findall(r"synapse_\w+", CONDITIONS[name].prometheus))

    assert {metric for metric in asked if metric not in known} == set()


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_sentence_of_a_condition_names_its_subject_and_what_more_is_known(name):
    said = sentence_of(CONDITIONS[name], ORDERS.text, 2, since=NOW, now=NOW, detail="HTTP 503")

    assert said.startswith("bridge orders-to-shop ")
    assert said.endswith("HTTP 503")
    assert not re.search(r"[{}]", said)


def test_dead_letters_are_told_with_their_number_begin_and_error():
    since = NOW - 4 * 3600

    said = sentence_of(CONDITIONS["dead_letters"], ORDERS.text, 126, since=since, now=NOW, detail="HTTP 503")

    assert said == "bridge orders-to-shop fails: 126 dead letters since 02:14, HTTP 503"


def test_a_begin_on_another_day_is_told_with_its_day():
    said = sentence_of(CONDITIONS["dead_letters"], ORDERS.text, 1, since=NOW - 86_400, now=NOW)

    assert said == "bridge orders-to-shop fails: 1 dead letter since 2026-11-22 06:14"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (59.6, "seconds", "60 s"),
        (300, "seconds", "5 min"),
        (7_200, "seconds", "2 h"),
        (172_800, "seconds", "2 days"),
        (LONGEST, "seconds", "30 days or more"),
        (12.4, "percent", "12 %"),
        (6.9, "days", "6 days"),
        (1.2, "days", "1 day"),
        (-3, "days", "0 days"),
        (1, "event", "1 event"),
        (0.5, "dead letter", "0.5 dead letters"),
        (1_234.0, "event", "1,234 events"),
    ],
)
def test_a_value_is_told_in_its_unit(value, unit, text):
    assert value_text(value, unit) == text


@pytest.mark.parametrize(
    ("pattern", "is_for"),
    [("orders", True), ("order", False), ("ord*", True), ("orders-to-*", True), ("orders/shop", True), ("*/x", False)],
)
def test_a_rule_is_for_what_one_of_its_patterns_names(pattern, is_for):
    rule = Rule(name="r", condition="dead_letters", threshold=1, subjects=("payments", pattern))

    assert rule.is_for(ORDERS.names) is is_for
    assert Rule(name="r", condition="dead_letters", threshold=1).is_for(ORDERS.names)


def test_a_low_value_is_what_a_rule_of_days_waits_for():
    expires = next(rule for rule in DEFAULT_RULES if rule.condition == "key_expires")

    assert [expires.holds(days) for days in (-1, 7, 7.1)] == [True, True, False]


@pytest.mark.parametrize(
    ("subject", "id_", "text"),
    [
        (Subject("stream", "orders"), "stream:orders", "stream orders"),
        (ORDERS, "group:orders/shop", "bridge orders-to-shop"),
        (Subject("group", "orders", "billing"), "group:orders/billing", "group billing of orders"),
        (Subject("key", name="k1", of="billing"), "key:k1", "key k1 of billing"),
        (Subject("redis"), "redis", "Redis"),
    ],
)
def test_a_subject_has_an_id_and_a_text(subject, id_, text):
    assert (subject.id, subject.text) == (id_, text)
