"""The totals of all streams: what the overview reads in place of all their series."""

import random

import pytest

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import series
from synapse.statistics.overview import read_histories, read_totals
from synapse.statistics.series import Key
from synapse.statistics.storage import ALL_STREAMS

STREAMS = ["orders", "returns"]


def totals(scene):
    return connections.executor().run(read_totals(now=int(scene.now)))


def recent(scene, stream, each):
    return totals(scene)[stream].recent.get(Key(each.number), [])


@pytest.fixture
def two(make_scene):
    scene = make_scene(streams=list(STREAMS))
    for group in ("shop", "billing"):
        scene.redis.xgroup_create("orders", group, "$", mkstream=True)
    return scene


@pytest.mark.product("seed")
@pytest.mark.parametrize("seed", [3, 4])
def test_totals_are_the_sums_and_the_highest_values_of_groups_and_labels(two, seed):
    dice, redis = random.Random(seed), two.redis
    two.sample()
    for _ in range(140):
        two.publish(dice.randint(1, 3), dice.choice(STREAMS))
        two.count(f"refused:{dice.choice('ab')}", dice.randint(0, 2), dice.choice(STREAMS))
        for group in ("shop", "billing"):
            counters = keyspace.counters("orders", group)
            redis.hincrby(counters, dice.choice(("done", "retried", "dead", "lost_silent")), dice.randint(0, 3))
            if dice.random() < 0.3:
                redis.xgroup_setid("orders", group, "$")
            if dice.random() < 0.1:
                redis.xadd(keyspace.dead_letters("orders", group), {"id": "1-0"})
        two.sample()

    past = connections.executor().run(read_histories(STREAMS, now=int(two.now)))
    found = totals(two)

    for stream in STREAMS:
        for each in (series.PUBLISHED, series.REFUSED, series.ACKNOWLEDGED, series.LOST, series.FAILED):
            assert found[stream].growth(Key(each.number)) == sum(
                past[stream].growth(key) for key in past[stream].recent if key.number == each.number
            )
            assert found[stream].rate(each) == past[stream].rate(each) or each.scope == "group"
        for each in (series.LAG_SECONDS, series.LAG_EVENTS):
            assert max(found[stream].last(each).values(), default=0) == max(past[stream].last(each).values(), default=0)
        lags = [one[stream].highest(series.LAG_SECONDS) for one in (found, past)]
        assert lags[0] == lags[1]
        assert sum(found[stream].last(series.DEAD).values()) == sum(past[stream].last(series.DEAD).values())
        assert found[stream].hour[Key(series.PUBLISHED.number)] == past[stream].hour[Key(series.PUBLISHED.number)]


def test_a_group_that_is_deleted_is_no_growth_of_those_that_stay(two):
    for group, count in (("shop", 900), ("billing", 50)):
        two.redis.hset(keyspace.counters("orders", group), "done", count)
    two.sample(2)
    two.redis.xgroup_destroy("orders", "shop")
    two.redis.hincrby(keyspace.counters("orders", "billing"), "done", 2)
    two.sample()

    assert recent(two, "orders", series.ACKNOWLEDGED)[-3:] == [None, 0, 2]


def test_a_group_that_is_new_is_no_growth_of_what_it_had_before(two):
    two.redis.hset(keyspace.counters("orders", "audit"), "done", 900)
    two.sample(2)
    two.redis.xgroup_create("orders", "audit", "$")
    two.sample(2)
    two.redis.hincrby(keyspace.counters("orders", "audit"), "done", 3)
    two.sample()

    assert recent(two, "orders", series.ACKNOWLEDGED)[-4:] == [0, 0, 0, 3]


def test_another_sampler_goes_on_with_them_and_a_gap_is_a_gap(two):
    two.publish(7)
    two.sample(2)
    two.redis.delete(keyspace.SAMPLER_LEASE)
    two.publish(2)
    two.sampler = two.another_sampler()
    two.sample(2)
    two.now += 10
    two.publish(5)
    two.sample(2)

    assert recent(two, "orders", series.PUBLISHED)[-8:] == [None, 0, 2, 0, None, None, None, 0]


def test_a_stream_that_is_gone_from_the_catalog_or_cannot_be_sampled_is_a_gap(two):
    two.sample(2)
    two.redis.set("returns", "by another program")
    two.sample(2)
    two.streams.remove("orders")
    two.sample()

    assert recent(two, "returns", series.LENGTH)[-5:] == [0, 0, None, None, None]
    assert recent(two, "orders", series.LENGTH)[-5:] == [0, 0, 0, 0, None]


def test_totals_have_a_few_keys_that_expire(two):
    two.sample(30)

    keys = list(two.redis.scan_iter(keyspace.history(ALL_STREAMS, 5, "*").replace(":5:", ":*:")))
    assert 2 <= len(keys) <= 5
    assert all(two.redis.ttl(key) > 0 for key in keys)
