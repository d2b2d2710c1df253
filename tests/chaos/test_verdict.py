"""The chaos verdict reports every fault in the delivery of an event."""

from dataclasses import replace

import pytest

from chaos import plan as chaos_plan
from chaos import verdict as chaos_verdict
from chaos.ledger import Acknowledged, Handled, Ledger
from chaos.plan import Plan
from chaos.verdict import EventCounts, FinalState, Letter, judge
from synapse.inspection.event_history import KnownAttempt
from synapse.inspection.places import EventPlace

PLAN = Plan(order="key", poison=0)
IDS = ["1-0", "2-0", "10-0"]
NAMES = ["a", "b", "c"]
SETTLED = EventCounts(unread=False, pending=0, waiting=0, parked=0, done=3, dead=0)
ACKNOWLEDGED = EventPlace(group="chaos", place="acknowledged")
STOCK = FinalState(
    stored=dict(zip(IDS, NAMES, strict=True)),
    letters=[],
    left_over=[],
    trimmed=0,
    places=SETTLED,
    timelines={},
)
TOLD = [Acknowledged(name, id_, False) for id_, name in zip(IDS, NAMES, strict=True)]
DEEDS = [Handled(what, name, "k", id_) for id_, name in zip(IDS, NAMES, strict=True) for what in ("began", "done")]


def broken(*, plan=PLAN, told=TOLD, deeds=DEEDS, stock=STOCK):
    found = judge(plan, told, deeds, stock).promised(plan)
    return {name: count for name, count in found.items() if count}


def test_when_all_went_well_nothing_is_broken():
    assert broken() == {}


def test_an_event_that_was_stored_and_never_handled_is_lost():
    assert broken(deeds=DEEDS[:4]) == {"lost": 1}


def test_an_attempt_that_was_begun_is_not_an_event_that_was_handled():
    assert broken(deeds=DEEDS[:5]) == {"lost": 1}


def test_an_event_that_was_acknowledged_and_is_not_stored_is_lost():
    stock = replace(STOCK, stored={"1-0": "a", "2-0": "b"}, places=replace(SETTLED, done=2))

    assert broken(stock=stock) == {"lost": 1}


def test_an_event_under_two_ids_is_stored_twice():
    stock = replace(STOCK, stored={**STOCK.stored, "11-0": "c"}, places=replace(SETTLED, done=4))

    assert broken(stock=stock) == {"stored twice": 1}


def test_a_dead_letter_that_was_delivered_is_both():
    stock = replace(STOCK, letters=[Letter(name="a", attempts=8)], places=replace(SETTLED, done=2, dead=1))

    assert broken(plan=replace(PLAN, poison=1), stock=stock) == {"dead and delivered": 1}


@pytest.mark.parametrize(("poison", "attempts"), [(0, 8), (1, 7), (1, 9)])
def test_a_sound_event_that_is_dead_and_one_that_died_too_early_or_too_late_are_dead_without_reason(poison, attempts):
    stock = replace(STOCK, letters=[Letter(name="c", attempts=attempts)], places=replace(SETTLED, done=2, dead=1))

    assert broken(plan=replace(PLAN, poison=poison), deeds=DEEDS[:5], stock=stock) == {"dead without reason": 1}


def test_an_attempt_at_an_event_after_a_later_one_of_its_key_began_breaks_the_order():
    late = [*DEEDS, Handled("began", "b", "k", "2-0")]

    assert broken(deeds=late) == {"order breaks": 1}
    assert broken(deeds=late, plan=replace(PLAN, order="none")) == {}
    assert broken(deeds=[*DEEDS, Handled("began", "b", "other", "2-0")]) == {}


def test_a_batch_cut_off_by_a_kill_keeps_the_order_only_when_repeated_whole():
    assert broken(deeds=[*DEEDS, *DEEDS[2:]]) == {}
    assert broken(deeds=[*DEEDS[:4], *DEEDS[:1], *DEEDS]) == {}
    # Without the last, or with a new one before it.
    assert broken(deeds=[*DEEDS, *DEEDS[2:4]]) == {"order breaks": 1}
    assert broken(deeds=[*DEEDS[:4], *DEEDS[:2], *DEEDS[4:], *DEEDS[2:]]) == {"order breaks": 1}


def test_an_event_that_begins_while_an_earlier_one_of_its_key_is_not_done_breaks_the_order():
    early = [DEEDS[0], *DEEDS[2:4], *DEEDS[:2], *DEEDS[2:]]

    assert broken(deeds=early) == {"order breaks": 1}


def test_an_event_that_is_delivered_twice_breaks_a_promise_only_where_nothing_was_killed():
    twice = [*DEEDS, *DEEDS[-2:]]

    assert broken(deeds=twice) == {}
    assert broken(deeds=twice, plan=replace(PLAN, kill_worker=0, kill_server=0)) == {"delivered again": 1}


@pytest.mark.parametrize("place", ["pending", "waiting", "parked"])
def test_an_event_left_in_any_place_at_the_end_counts_as_not_settled(place):
    stock = replace(STOCK, places=replace(SETTLED, **{place: 2}))

    assert broken(stock=stock) == {"not acknowledged": 2}


def test_keys_that_stay_and_wrong_counts_are_told():
    stock = replace(STOCK, left_over=["syn:{chaos}:lock:chaos"], trimmed=1, places=replace(SETTLED, done=2))

    assert broken(stock=stock) == {"keys left over": 1, "trimmed": 1, "miscounted": 1}


FAILED_ONCE = KnownAttempt(at_ms=1, number=1, took_ms=1, outcome="failed")


@pytest.mark.parametrize(
    "told",
    [
        replace(ACKNOWLEDGED, place="unread"),
        replace(ACKNOWLEDGED, place="dead"),
        replace(ACKNOWLEDGED, is_certain=False),
        replace(ACKNOWLEDGED, attempts=(FAILED_ONCE,)),
    ],
    ids=["another place", "dead", "uncertain", "an attempt that did not fail"],
)
def test_a_timeline_that_differs_from_the_ledger_is_told(told):
    stock = replace(STOCK, timelines={"1-0": ACKNOWLEDGED, "2-0": told})

    assert broken(plan=replace(PLAN, failures=0), stock=stock) == {"timelines that differ": 1}


def test_the_timeline_of_a_dead_letter_has_all_of_its_attempts():
    attempts = tuple(replace(FAILED_ONCE, number=number) for number in range(1, 9))
    places = replace(SETTLED, done=2, dead=1)
    dead = replace(STOCK, letters=[Letter(name="c", attempts=8)], places=places)
    plan = replace(PLAN, poison=1)

    for told, differ in ((attempts, {}), (attempts[1:], {"timelines that differ": 1})):
        place = replace(ACKNOWLEDGED, place="dead", attempts=told)
        stock = replace(dead, timelines={"1-0": ACKNOWLEDGED, "10-0": place})
        assert broken(plan=plan, deeds=DEEDS[:5], stock=stock) == differ


def test_a_worker_that_ended_by_itself_is_told():
    outcome = {"crashed": 1, "stops": {"bad": 2}, "verdict": {}}
    verdict = judge(PLAN, TOLD, DEEDS, STOCK)
    outcome["verdict"] = {name: getattr(verdict, name) for name in verdict.__slots__}

    assert chaos_verdict.list_broken(PLAN, outcome) == ["workers crashed: 1", "stops gone wrong: 2"]


def test_the_ledger_gives_back_what_was_written(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.acknowledge(TOLD)
    file = ledger.open_handling()
    for deed in DEEDS:
        file.write(deed)

    assert list(ledger.acknowledged()) == TOLD
    assert list(ledger.handled()) == DEEDS
    file.close()


def test_the_seed_decides_which_events_are_poison_and_which_attempts_fail():
    names = [str(n) for n in range(10_000)]

    poison = [name for name in names if chaos_plan.is_poison(1, name, 0.01)]
    failing = [name for name in names if chaos_plan.fails(1, name, 1, 0.15)]

    assert 60 < len(poison) < 140
    assert 1300 < len(failing) < 1700
    assert poison != [name for name in names if chaos_plan.is_poison(2, name, 0.01)]
    assert not any(chaos_plan.fails(1, name, 3, 1.0) for name in names)
    assert not chaos_plan.is_poison(1, "5s", 1.0)
