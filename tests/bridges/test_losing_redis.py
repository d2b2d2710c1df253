"""Redis goes away under a worker, comes back, or comes back without its data."""

import pytest

from streams import connections
from synapse.delivery.batch_sizer import RECONNECT
from synapse.errors.delivery import GroupExists
from tests.bridges.cast import COUNTERS, DUE, GROUP, STREAM, KeepingSink, make_due, places, publish, read_and_die
from tests.tables import for_each


def test_a_worker_waits_for_redis_and_reports_each_attempt(own_valkey, bridge):
    own_valkey.kill()
    consumer = bridge(block_ms=10)

    pauses = []
    for _ in range(8):
        assert consumer.worker.step() is False
        pauses.append(consumer.worker.pause)

    assert len(consumer.said) == 8
    assert consumer.said[0].startswith("Redis cannot be reached: ")
    assert consumer.said[0].endswith(f". Next try in {pauses[0]:.1f} s.")
    assert 0.1 <= pauses[0] <= 0.2
    assert 2.5 <= pauses[7] <= 5.0
    # The next read asks and does not wait for events: a person waits to hear that Redis is back.
    assert consumer.worker._block_ms(None, worked=False) == 0

    own_valkey.start()
    assert consumer.worker.step() is False
    assert consumer.worker.pause == 0
    assert consumer.said[-1] == "Redis is back."


def test_a_worker_goes_on_after_redis_was_killed_and_started_again(durable_valkey, bridge):
    with durable_valkey.client() as redis:
        before = publish(redis, 3)
        consumer = bridge().run_dry()
        durable_valkey.kill()
        consumer.worker.step()
        durable_valkey.start()
        after = publish(redis, 2)

        consumer.run_dry()

        assert consumer.sink.ids == before + after
        assert places(redis) == {"done": 5}


def test_events_delivered_while_redis_died_are_acknowledged_later_and_not_delivered_twice(durable_valkey, bridge):
    with durable_valkey.client() as redis:
        ids = publish(redis, 3)
        consumer = bridge(KeepingSink(refuses=lambda _: bool(durable_valkey.kill())))
        consumer.worker.step()
        durable_valkey.start()
        assert places(redis) == {"pending": 3}

        consumer.run_dry()

        assert consumer.sink.ids == ids
        assert places(redis) == {"done": 3}


def test_events_of_a_lost_read_are_delivered_when_redis_is_back(durable_valkey, bridge):
    with durable_valkey.client() as redis:
        consumer = bridge().run_dry()
        ids = publish(redis, 2)
        read_and_die(redis, consumer.worker.subscription.consumer)
        durable_valkey.kill()
        consumer.worker.step()
        durable_valkey.start()

        consumer.run_dry()

        assert consumer.sink.ids == ids


def test_a_server_that_came_back_empty_has_its_group_made_again_at_the_beginning(own_valkey, bridge):
    consumer = bridge(start="$").run_dry()
    own_valkey.kill()
    consumer.worker.step()
    own_valkey.start()
    with own_valkey.client() as redis:
        ids = publish(redis, 2)

        consumer.run_dry()

        assert consumer.sink.ids == ids
        assert places(redis) == {"done": 2, "groups_recreated": 1}
    assert consumer.said[-2].endswith("created again and starts at the beginning, so events may come twice.")
    assert consumer.said[-1] == "Redis is back."


@pytest.mark.parametrize(
    ("loss", "where"),
    [
        ("stream deleted", "continues where it was a few seconds ago"),
        ("group destroyed", "continues where it was a few seconds ago"),
        ("all flushed", "starts at the beginning"),
    ],
)
def test_a_lost_group_is_made_again_and_misses_nothing(redis, bridge, loss, where):
    publish(redis, 2)
    consumer = bridge(start="$", lease_ms=0).run_dry()
    match loss:
        case "stream deleted":
            redis.delete(STREAM)
        case "group destroyed":
            redis.xgroup_destroy(STREAM, GROUP)
        case "all flushed":
            redis.flushall()
    ids = publish(redis, 3)

    consumer.run_dry()

    assert consumer.sink.ids == ids
    assert redis.hget(COUNTERS, "groups_recreated") == b"1"
    assert consumer.said[1] == (
        f"The group “warehouse” of “orders” was gone from Redis. It was created again and {where}, so events may come "
        "twice."
    )


def test_a_deleted_stream_is_there_again_before_anybody_publishes(redis, bridge):
    consumer = bridge(lease_ms=0).run_dry()
    redis.delete(STREAM)

    consumer.run_dry()

    assert redis.xinfo_groups(STREAM)[0]["name"] == GROUP.encode()
    assert [line.split(" of ")[0] for line in consumer.said[1:]] == ["The group “warehouse”"]


def test_events_that_wait_outlive_the_loss_of_their_group(redis, bridge):
    ids = publish(redis, 2)
    bridge(KeepingSink(refuses=lambda _: True)).run_dry().worker.leave(connections.executor())
    redis.delete(STREAM)
    make_due(redis)

    consumer = bridge().run_dry()

    assert consumer.sink.ids == ids
    assert redis.zcard(DUE) == 0


def test_a_group_that_must_be_new_is_refused_when_it_exists(redis, bridge):
    publish(redis, 1)
    bridge().run_dry()
    consumer = bridge(must_be_new=True)

    with pytest.raises(GroupExists, match=r"exists and keeps its position.*--group.*move"):
        consumer.worker.step()

    consumer.worker.leave(connections.executor())
    assert len(redis.xinfo_consumers(STREAM, GROUP)) == 1
    assert consumer.said == []


def test_scripts_that_the_server_forgot_are_sent_again(redis, bridge):
    consumer = bridge().run_dry()
    ids = publish(redis, 1)
    redis.script_flush()

    assert consumer.run_dry().sink.ids == ids
    assert places(redis) == {"done": 1}


def test_a_server_that_became_a_replica_is_waited_for_over_new_connections(own_valkey, bridge):
    with own_valkey.client() as redis:
        consumer = bridge().run_dry()
        before = {row["id"] for row in redis.client_list()}
        ids = publish(redis, 1)
        redis.replicaof("127.0.0.1", "1")

        assert consumer.worker.step() is False
        assert consumer.worker.pause > 0
        assert consumer.said[-1].startswith("Redis refused a command: ")

        redis.replicaof("NO", "ONE")
        assert consumer.run_dry().sink.ids == ids
        assert consumer.said[-1] == "Redis is back."
        # Its own connection of before is gone: behind the same address another server may be the primary now.
        assert len(before & {row["id"] for row in redis.client_list()}) == 1


def test_a_redis_key_of_another_type_is_reported_and_read_once_it_is_a_stream(redis, bridge):
    redis.set(STREAM, "text")
    consumer = bridge()

    assert consumer.worker.step() is False
    assert "WRONGTYPE" in consumer.said[0]
    redis.delete(STREAM)
    ids = publish(redis, 1)
    assert consumer.run_dry().sink.ids == ids


@for_each(
    "failures, chance, seconds",
    [(1, 0.0, 0.1), (1, 1.0, 0.2), (2, 1.0, 0.4), (5, 1.0, 3.2), (6, 1.0, 5.0), (6, 0.0, 2.5), (10_000, 1.0, 5.0)],
)
def test_waits_double_up_to_five_seconds_and_are_spread(failures, chance, seconds):
    assert RECONNECT.delay(failures, chance) == pytest.approx(seconds)
