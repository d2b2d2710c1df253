"""Notifications: at most one a rule and minute, whatever happens, and none for silenced alerts."""

import json
from dataclasses import replace

from synapse.alerts.definitions import Silence
from synapse.alerts.event import MOST_LISTED
from synapse.alerts.rules import Rule
from synapse.redis import keyspace
from synapse.statistics.collection import MOST_GROUPS
from tests.alerts.conftest import Stage, only
from tests.chaos.profile import FULL

MANY = 10_000 if FULL else 1_600


def told(stage: Stage) -> list[dict]:
    return stage.events("alert-notification")


def silence(stage: Stage, seconds: float, *, subject: str = "orders-to-shop", rule: str = "*") -> Silence:
    return Silence(id=1, subject=subject, rule=rule, begins=stage.now, ends=stage.now + seconds)


def with_groups(stage: Stage, count: int) -> None:
    """Make groups with a dead letter each."""
    with stage.redis.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.xgroup_create("orders", f"g{number:03}", id="$")
            pipe.xadd(keyspace.dead_letters("orders", f"g{number:03}"), {"err": "answered 503"})
        pipe.execute()


def test_the_first_change_is_told_at_once_and_what_follows_together_at_the_end_of_the_minute(stage):
    stage.set(rules=only("dead-letters"))
    stage.turn(2)
    stage.bury()
    stage.turn()
    at_once = told(stage)

    with_groups(stage, 30)
    stage.turn(10)
    within = told(stage)
    stage.turn(3)

    assert [event["sentence"] for event in at_once] == [
        "bridge orders-to-shop fails: 1 dead letter since 00:00, HTTP 503"
    ]
    assert within == at_once
    (_, second) = told(stage)
    assert len(json.loads(second["alerts"])) == MOST_LISTED
    assert second["more"] == "10"
    assert second["sentence"].startswith("dead-letters: 30 alerts firing: group g000 of orders, group g001 of orders, ")
    assert second["sentence"].endswith("group g019 of orders and 10 more")
    assert second["dedupe_key"] != at_once[0]["dedupe_key"]


def test_thousands_of_changes_are_told_at_most_once_a_minute_for_a_rule(stage):
    own = Rule(name="own", condition="dead_letters", threshold=1, for_seconds=0)
    stage.set(rules=[*only("dead-letters"), own])
    with_groups(stage, MOST_GROUPS)
    begun, made = stage.now, 0
    letters = [keyspace.dead_letters("orders", f"g{number:03}") for number in range(MOST_GROUPS)]
    while made < MANY:
        with stage.redis.pipeline(transaction=False) as pipe:
            for name in letters:
                pipe.xadd(name, {"err": "answered 503"})
            pipe.execute()
        stage.turn(2)
        stage.redis.delete(*letters)
        stage.turn(14)
        # Each fired and was resolved, of both rules.
        made += 4 * MOST_GROUPS
        assert stage.states() == {}

    for rule in ("dead-letters", "own"):
        of_rule = [event for event in told(stage) if event["rule"] == rule]
        assert 1 < len(of_rule) <= (stage.now - begun) / 60 + 1
        assert len({event["dedupe_key"] for event in of_rule}) == len(of_rule)
    assert stage.redis.hget(keyspace.stats("synapse-alerts"), "published") == b"%d" % stage.redis.xlen("synapse-alerts")


def test_a_silenced_alert_is_evaluated_and_shown_and_told_to_nobody(stage):
    stage.set(rules=only("dead-letters"), silences=[silence(stage, 3_600)])
    stage.turn(2)
    stage.bury()
    stage.turn(4)
    stage.redis.delete("syn:{orders}:dlq:shop")
    stage.seconds(90)

    assert [state for _, state in stage.changes] == ["firing", "resolved"]
    assert [event["state"] for event in stage.events("alert-changed")] == ["firing", "resolved"]
    assert told(stage) == []


def test_an_alert_that_fires_still_when_its_silence_is_over_is_told_then(stage):
    stage.set(rules=only("dead-letters"), silences=[silence(stage, 60)])
    stage.turn(2)
    stage.bury()
    stage.turn(4)
    before = told(stage)
    stage.turn(10)

    assert before == []
    assert [event["state"] for event in told(stage)] == ["firing"]
    assert len(stage.events("alert-changed")) == 1


def test_a_silence_of_another_rule_or_subject_is_none(stage):
    stage.set(
        rules=only("dead-letters"),
        silences=[silence(stage, 60, rule="group-*"), silence(stage, 60, subject="orders-to-ship")],
    )
    stage.turn(2)
    stage.bury()
    stage.turn()

    assert len(told(stage)) == 1


def test_a_notification_that_a_killed_evaluator_did_not_send_is_sent_by_the_next_one(stage):
    stage.set(rules=only("dead-letters"))
    stage.turn(2)
    stage.bury()
    stage.turn()
    with_groups(stage, 3)
    stage.turn(3)

    stage.redis.delete("syn:alerts")
    stage.evaluator = stage.another_evaluator()
    stage.turn(10)

    assert [event["sentence"].partition(":")[0] for event in told(stage)] == [
        "bridge orders-to-shop fails",
        "dead-letters",
    ]
    assert len(json.loads(told(stage)[1]["alerts"])) == 3


def test_alerts_from_before_the_stream_was_defined_are_not_notified_later(stage):
    streams = dict(stage.definitions.catalog.streams)
    alerts = streams.pop("synapse-alerts")
    stage.set(rules=only("dead-letters"))
    whole = stage.definitions.catalog
    stage.definitions = replace(stage.definitions, catalog=replace(whole, streams=streams))
    stage.turn(2)
    stage.bury()
    stage.turn(2)
    stage.definitions = replace(stage.definitions, catalog=replace(whole, streams={**streams, alerts.name: alerts}))
    stage.turn(20)

    assert [state for _, state in stage.changes] == ["firing"]
    assert told(stage) == []
