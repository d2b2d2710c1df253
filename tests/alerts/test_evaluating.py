"""The evaluator: waiting, resolving, what is not known, clocks that are set, and processes that die or are two."""

import json
from dataclasses import replace

import pytest

from streams import connections
from streams.models import Stream
from streams.snapshot import holder
from synapse.alerts.event import CONTRACTS
from synapse.alerts.rules import CONDITIONS, Rule
from synapse.alerts.state import CLEAR_SECONDS, AlertState, pack, unpack
from synapse.dead_letters import short_error
from synapse.redis.commands import alerts as commands
from synapse.redis.commands.alerts import StateChange
from synapse.statistics.sampler import Sampler
from tests.alerts.conftest import SHOP, STATES, only

DEAD = "dead-letters group:orders/shop"
BEHIND = "group-behind group:orders/shop"


@pytest.fixture
def dead(stage):
    """The stage with the rule for dead letters alone, which fires at once."""
    stage.set(rules=only("dead-letters"))
    stage.turn(2)
    return stage


def let_go(stage):
    stage.redis.delete("syn:{orders}:dlq:shop")


def test_an_alert_waits_as_pending_until_its_condition_held_for_long_enough(stage):
    stage.set(rules=only("dead-letters", for_seconds=30))
    stage.turn()
    stage.bury()

    stage.seconds(30)
    pending = stage.states()
    stage.turn()

    assert pending == {DEAD: "pending"}
    assert stage.states() == {DEAD: "firing"}
    assert stage.changes == [(DEAD, "firing")]


def test_a_condition_that_ends_while_its_alert_is_pending_is_told_to_nobody(stage):
    stage.set(rules=only("dead-letters", for_seconds=30))
    stage.bury()
    stage.seconds(20)

    let_go(stage)
    stage.seconds(60)

    assert (stage.states(), stage.changes) == ({}, [])


def test_a_condition_that_comes_and_goes_fires_once(dead):
    for _ in range(20):
        dead.bury()
        dead.seconds(20)
        let_go(dead)
        dead.seconds(CLEAR_SECONDS - 10)
    flapping = dead.changes
    dead.seconds(CLEAR_SECONDS)

    assert flapping == [(DEAD, "firing")]
    assert dead.changes == [(DEAD, "firing"), (DEAD, "resolved")]


def test_an_alert_stays_as_it_is_while_the_sampler_is_away(dead):
    dead.bury()
    dead.turn()

    let_go(dead)
    dead.turn(60, sampled=False)

    assert dead.states() == {DEAD: "firing"}
    assert dead.changes == [(DEAD, "firing")]


def test_an_alert_that_was_pending_begins_to_wait_again_after_a_gap(stage):
    stage.set(rules=only("dead-letters", for_seconds=120))
    stage.bury()
    stage.seconds(20)

    stage.now += 600
    stage.turn(3)

    assert stage.states() == {DEAD: "pending"}


@pytest.mark.parametrize("by", [-3_600, 3_600])
def test_a_clock_that_is_set_neither_fires_nor_resolves_an_alert_at_once(stage, by):
    stage.set(rules=[*only("dead-letters"), *only("group-behind", for_seconds=60)])
    stage.bury()
    stage.publish(ago=310)
    stage.turn(3)
    let_go(stage)
    stage.turn(2)

    stage.now += by
    stage.turn(2)
    set_ = stage.states()
    stage.seconds(CLEAR_SECONDS + 10)

    assert set_[DEAD] == "firing"
    assert stage.changes.count((DEAD, "firing")) == stage.changes.count((DEAD, "resolved")) == 1


def test_an_alert_fires_again_when_redis_lost_everything(dead):
    dead.bury()
    dead.turn()
    before = len(dead.changes)

    dead.redis.flushall()
    dead.publish()
    dead.group()
    dead.turn(4)
    lost = dead.changes
    dead.bury()
    dead.turn(2)

    assert (before, lost) == (1, [])
    assert dead.changes == [(DEAD, "firing")]
    assert len(dead.events("alert-notification")) == 1


def test_an_alert_does_not_fire_for_dead_letters_that_redis_lost_within_a_step_of_the_samples(dead):
    dead.bury(3)
    dead.turn()
    assert dead.changes == [(DEAD, "firing")]

    dead.redis.flushall()
    dead.publish()
    dead.group()
    dead.sampler = Sampler(connections.executor, lambda: dead.definitions.catalog.streams, clock=lambda: dead.now)
    assert dead.sampler.step()
    assert dead.evaluator.step()
    dead.turn(2)

    assert dead.changes == []
    assert dead.states() == {}


def test_of_two_evaluators_that_both_believe_in_their_lease_each_change_is_recorded_once(dead):
    other = dead.another_evaluator()
    for _ in range(3):
        dead.bury()
        for _ in range(30):
            dead.now += 5
            dead.sampler.step()
            for evaluator in (dead.evaluator, other):
                dead.redis.delete("syn:alerts")
                assert evaluator.step()
            if len(dead.changes) % 2:
                let_go(dead)

    assert [state for _, state in dead.changes] == ["firing", "resolved"] * 3
    assert [event["state"] for event in dead.events("alert-changed")] == ["firing", "resolved"] * 3
    keys = [event["dedupe_key"] for event in dead.events("alert-notification")]
    assert len(keys) == len(set(keys))


def test_a_change_that_was_made_by_another_evaluator_meanwhile_is_not_made_again(redis):
    state = pack(AlertState(phase="firing", since=1, value=1))
    change = StateChange("r stream:s", b"", state, b"{}", ("event_type", "alert-changed"))

    replies = [connections.executor().execute([commands.change_states([change], hard_length=10)])[0] for _ in range(2)]

    assert replies == [[True], [False]]
    assert (
        redis.xlen("synapse-alerts"),
        len(connections.executor().execute([commands.changes_after("0", count=9)])[0]),
    ) == (1, 1)


def test_only_one_evaluator_has_the_lease(dead):
    assert dead.evaluator.step()
    assert not dead.another_evaluator().step()


def test_a_rule_that_is_disabled_or_gone_resolves_its_alerts_and_wakes_nobody_twice(dead):
    dead.bury()
    dead.turn()

    dead.set(rules=only("dead-letters", enabled=False))
    dead.turn(3)
    disabled = dead.changes
    dead.set(rules=[Rule(name="own", condition="dead_letters", threshold=1, for_seconds=0)])
    dead.turn(2)
    dead.set(rules=[])
    dead.turn(2)

    assert disabled == [(DEAD, "firing"), (DEAD, "resolved")]
    assert dead.changes[2:] == [("own group:orders/shop", "firing"), ("own group:orders/shop", "resolved")]
    assert dead.states() == {}


def test_a_rule_for_streams_that_are_gone_does_no_harm_and_the_alerts_of_a_deleted_stream_are_resolved(dead):
    dead.set(rules=[*only("group-behind", subjects=("gone", "gone/*")), *only("dead-letters")])
    dead.bury()
    dead.publish(ago=400)
    dead.seconds(300)
    Stream.objects.get(name="orders").delete()
    holder.forget()
    dead.set(bridges={})
    dead.seconds(CLEAR_SECONDS + 20)

    assert dead.changes == [(DEAD, "firing"), (DEAD, "resolved")]


def test_the_stream_of_alerts_and_its_own_bridges_raise_no_alert(dead):
    alerts = replace(SHOP, name="chat", stream="synapse-alerts", group="chat")
    dead.set(rules=[*only("dead-letters"), *only("bridge-down", for_seconds=0)], bridges={"chat": alerts})
    dead.redis.xadd("syn:{synapse-alerts}:dlq:chat", {"err": "x"})
    dead.bury()
    dead.turn(1)
    dead.redis.xgroup_create("synapse-alerts", "chat", id="0")
    dead.turn(6)

    assert dead.changes == [(DEAD, "firing")]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"phase": "firing"}', b'{"phase": 7}', b"null"])
def test_a_state_that_is_none_of_ours_is_taken_away(dead, text):
    dead.redis.hset(STATES, DEAD, text)
    dead.redis.hset(STATES, "nonsense", text)

    dead.turn()

    assert unpack(text) is None
    assert (dead.states(), dead.changes) == ({}, [])


def test_a_value_in_place_of_the_stream_of_alerts_stops_no_alert(dead):
    dead.redis.set("synapse-alerts", "text")
    dead.bury()

    dead.turn()

    assert dead.changes == [(DEAD, "firing")]


def test_the_value_of_an_alert_follows_what_is_measured(dead):
    dead.bury(3)
    dead.turn()
    dead.bury(4)
    dead.turn(4)

    (text,) = dead.redis.hgetall(STATES).values()
    assert json.loads(text)["value"] == 7
    assert json.loads(text)["said"] == "bridge orders-to-shop fails: 7 dead letters since 00:00, HTTP 503"


def test_conditions_that_no_rule_has_from_the_start_can_be_watched(stage):
    others = ("time_to_drain", "dead_letter_rate", "no_traffic")
    stage.set(
        rules=[
            Rule(name=name, condition=name, threshold=CONDITIONS[name].threshold, for_seconds=0, subjects=("orders",))
            for name in others
        ]
    )
    stage.turn(4)
    stage.publish(50)
    stage.count("done", 1, group="shop")
    stage.count("dead", 50, group="shop")
    stage.count("failed:timeout", 50, group="shop")
    stage.turn()
    found = {alert["rule"]: alert["sentence"] for alert in stage.history}

    assert found == {
        "time_to_drain": "bridge orders-to-shop needs 4 h for its unread events at the pace of the last five minutes, "
        "50 of them",
        "dead_letter_rate": "bridge orders-to-shop fails: 10 dead letters a minute since 00:00, timeout",
        "no_traffic": "stream orders is silent: its latest event is 3 h old",
    }


def test_events_of_alerts_keep_their_contracts(stage, define):
    define("synapse-alerts", dict(CONTRACTS), unknown_event_types="reject")
    stage.set(rules=only("dead-letters", labels={"team": "shop"}, runbook="https://wiki.example.org/shop"))
    stage.turn(2)
    stage.bury()
    stage.turn()

    for name in CONTRACTS:
        (event,) = stage.events(name)
        assert event["synapse_version"] == "1"
        assert event["source"] == "synapse"
        assert json.loads(event["labels"]) == {"team": "shop"}
        assert event["sentence"] == "bridge orders-to-shop fails: 1 dead letter since 00:00, HTTP 503"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("https://shop.example answered 503 after 2 s", "HTTP 503"),
        ("No connection to 10.0.0.7:443: Connection refused", "No connection to …: Connection refused"),
        ("KeyError: 'card'", "KeyError: “…”"),
    ],
)
def test_an_error_is_told_in_a_few_words_without_values_or_addresses(error, said):
    assert short_error(error) == said
