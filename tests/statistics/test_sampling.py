"""The samples written and their reading: growth of counters, gauges, and gaps."""

import pytest

from streams import connections
from synapse.redis import SyncExecutor, keyspace
from synapse.redis.command import ReplyError
from synapse.redis.errors import RedisFailure
from synapse.statistics.collection import MOST_GROUPS


def test_a_counter_is_shown_by_how_much_it_grew_in_each_step(scene):
    scene.sample()
    for count in (3, 0, 5):
        scene.publish(count) if count else None
        scene.sample()

    assert scene.row("published", steps=4) == [None, 3, 0, 5]
    assert scene.row("length", steps=4) == [0, 3, 3, 8]


def test_refused_events_are_counted_by_reason_from_the_first_one_on(scene):
    scene.sample(2)
    scene.count("refused:stream-full", 4)
    scene.sample()

    (found,) = scene.rows("refused", steps=3).items()
    assert found[0].label == "stream-full"
    assert found[1] == [None, 0, 4] or found[1] == [None, None, 4]


def test_a_moment_without_a_sample_is_a_gap_and_not_zero(scene):
    scene.sample(2)
    scene.now += 10
    scene.publish(7)
    scene.sample(2)

    # By how much it grew in the first step after a gap cannot be told.
    assert scene.row("published", steps=6) == [None, 0, None, None, None, 0]
    assert scene.row("length", steps=6) == [0, 0, None, None, 7, 7]


def test_a_minute_has_the_growth_of_its_steps_and_the_highest_value_of_a_gauge(scene):
    scene.sample(12)
    scene.publish(5)
    scene.sample(6)
    scene.redis.xtrim("orders", maxlen=2)
    scene.sample(6)
    scene.publish(1)
    scene.sample(1)

    scene.now += 55
    assert scene.row("published", seconds=60, steps=3)[:2] == [None, 5]
    assert scene.row("length", seconds=60, steps=3)[:2] == [0, 5]


def test_another_resolution_agrees_with_the_finest_one_over_a_quarter_of_an_hour(make_scene):
    scene = make_scene()
    for place in range(360):
        if place % 7 == 0:
            scene.publish(place % 5 + 1)
        scene.sample()
    # A minute is written with the first sample after it.
    scene.sample()
    scene.now -= 5

    of_steps = scene.row("published", steps=180)
    assert sum(scene.row("published", seconds=60, steps=15)) == sum(of_steps) > 50
    assert scene.row("published", seconds=900, steps=1) == [sum(of_steps)]


def test_a_group_is_sampled_with_its_places_and_counters(scene):
    scene.publish(10)
    scene.redis.xgroup_create("orders", "billing", "0")
    scene.redis.xreadgroup("billing", "one", {"orders": ">"}, count=4)
    scene.redis.zadd(keyspace.waiting("orders", "billing"), {"1-0": 1})
    scene.redis.xadd(keyspace.dead_letters("orders", "billing"), {"id": "1-0"})
    scene.sample(2)
    scene.redis.hset(
        keyspace.counters("orders", "billing"), mapping={"done": 2, "retried": 3, "dead": 1, "lost_silent": 1}
    )
    scene.sample()

    shown = {
        name: scene.row(name, steps=1, group="billing")[0]
        for name in ("in_flight", "scheduled", "dead", "acknowledged", "failed", "attempts", "lost", "lag_events")
    }
    assert shown == {
        "in_flight": 4,
        "scheduled": 1,
        "dead": 1,
        "acknowledged": 2,
        "failed": 4,
        "attempts": 6,
        "lost": 1,
        "lag_events": 6,
    }


def test_a_counter_that_began_anew_is_not_negative(scene):
    scene.count("published", 100)
    scene.sample(2)
    scene.redis.delete(keyspace.stats("orders"))
    scene.count("published", 3)
    scene.sample()

    assert scene.row("published", steps=2) == [0, 3]


def test_an_idle_stream_writes_nothing(scene):
    scene.publish(3)
    scene.sample(14)
    before = {key: scene.redis.dump(key) for key in scene.redis.scan_iter("syn:{orders}:past:*")}

    scene.redis.config_resetstat()
    scene.sample(20)

    assert {key: scene.redis.dump(key) for key in scene.redis.scan_iter("syn:{orders}:past:*")} == before
    # Two keys of the installation in each round, and one more a minute.
    assert scene.redis.info("commandstats")["cmdstat_set"]["calls"] <= 42


def test_an_idle_stream_keeps_its_value_after_its_blocks_are_gone(scene):
    scene.publish(3)
    scene.sample(200)
    for key in scene.redis.scan_iter("syn:{orders}:past:5:*"):
        assert key.endswith(b":base") or scene.redis.delete(key)

    assert scene.row("length", steps=10) == [3] * 10


def test_another_process_goes_on_after_the_lease_ended(scene):
    scene.sample(3)
    other = scene.another_sampler()
    assert not other.step()

    scene.redis.delete(keyspace.SAMPLER_LEASE)
    scene.publish(2)
    assert other.step()
    scene.now += 5

    assert scene.row("published", steps=4) == [None, 0, 0, 2]
    assert not scene.sampler.step()


def test_another_process_goes_on_with_the_groups_at_once(scene):
    scene.redis.xgroup_create("orders", "billing", "$", mkstream=True)
    scene.sample(2)
    scene.redis.delete(keyspace.SAMPLER_LEASE)
    scene.redis.hincrby(keyspace.counters("orders", "billing"), "done", 2)
    assert scene.another_sampler().step()
    scene.now += 5

    assert scene.row("acknowledged", steps=3, group="billing") == [None, 0, 2]
    assert scene.row("in_flight", steps=3, group="billing") == [0, 0, 0]


def test_a_sampler_that_woke_beside_its_successor_does_no_harm(scene):
    scene.sample(3)
    other = scene.another_sampler()
    scene.redis.delete(keyspace.SAMPLER_LEASE)
    assert other.step()
    scene.redis.delete(keyspace.SAMPLER_LEASE)
    scene.publish(2)
    scene.now += 5
    assert scene.sampler.step()
    scene.now += 5

    assert scene.row("length", steps=2) == [0, 2] or scene.row("length", steps=2) == [None, 2]


def test_a_redis_that_lost_everything_is_sampled_anew(scene):
    scene.publish(3)
    scene.sample(5)
    scene.redis.flushall()
    scene.publish(1)
    scene.sample(2)

    assert scene.row("length", steps=4) == [None, None, 1, 1]


def test_a_redis_that_is_away_leaves_a_gap(own_valkey, monkeypatch):
    from tests.statistics.conftest import Scene

    with own_valkey.client() as client:
        scene = Scene(client)
        scene.publish(3)
        scene.sample(2)
        with own_valkey.frozen(), monkeypatch.context() as patch:
            patch.setattr(scene.sampler, "_executor", lambda: SyncExecutor(connections.server(), timeout=0.05))
            with pytest.raises(RedisFailure):
                scene.sampler.step()
        scene.now += 5
        scene.redis.delete(keyspace.SAMPLER_LEASE)
        scene.sample(2)

        assert scene.row("length", steps=5) == [3, 3, None, 3, 3]


@pytest.mark.parametrize("jump", [-7200, 86_400 * 400])
def test_a_clock_that_jumps_does_not_stop_the_sampling(scene, jump):
    scene.publish(3)
    scene.sample(5)
    scene.now += jump
    scene.sample(3)

    assert scene.row("length", steps=3) == [3, 3, 3]


def test_a_clock_that_was_ahead_for_a_while_leaves_nothing_that_disturbs(scene):
    scene.publish(3)
    scene.sample(2)
    scene.now += 100
    scene.sample(2)
    scene.now -= 105
    scene.publish(1)
    scene.sample(3)

    assert scene.row("length", steps=3) == [4, 4, 4]


def test_a_key_that_holds_something_else_is_a_gap_of_its_stream_alone(make_scene):
    scene = make_scene(streams=["orders", "taken"])
    scene.publish(2)
    scene.redis.set("taken", "by another program")
    scene.redis.set(keyspace.history("orders", 5, "base"), "by another program")
    scene.sample(3)

    assert scene.row("length", steps=3, stream="taken") == [None] * 3
    assert scene.row("length", steps=3) == [2, 2, 2]


def test_a_stream_that_is_deleted_and_its_group_end_in_a_gap(scene):
    scene.publish(2)
    scene.redis.xgroup_create("orders", "billing", "$")
    scene.sample(3)
    scene.redis.xgroup_destroy("orders", "billing")
    scene.sample(2)

    assert scene.row("in_flight", steps=5, group="billing") == [0, 0, 0, None, None]

    scene.streams = []
    scene.sample(2)

    assert scene.redis.exists(keyspace.history("orders", 5, scene.now // 300)) == 1
    assert all(scene.redis.ttl(key) > 0 for key in scene.redis.scan_iter("syn:*past:*"))


def test_no_more_groups_are_sampled_than_the_bound(scene):
    with scene.redis.pipeline() as pipe:
        for number in range(MOST_GROUPS + 5):
            pipe.xgroup_create("orders", f"g{number:04}", "$", mkstream=True)
        pipe.execute()
    scene.sample(2)

    assert len({key.group for key in scene.rows("in_flight", steps=1)}) == MOST_GROUPS


def test_names_are_kept_as_they_are(scene):
    name = "<script>alert('é')</script>"
    scene.redis.xgroup_create("orders", name, "$", mkstream=True)
    scene.sample(2)

    assert {key.group for key in scene.rows("in_flight", steps=1)} == {name}


def test_a_lease_that_is_something_else_is_told(scene):
    scene.redis.lpush(keyspace.SAMPLER_LEASE, "x")

    with pytest.raises(ReplyError):
        scene.sampler.step()
