"""Unfinished events are reclaimed: a dead consumer's at once, a silent consumer's after their lease."""

import os
import subprocess
from pathlib import Path

import pytest

from streams import connections
from synapse.delivery import group_upkeep
from synapse.delivery import membership as delivery_membership
from tests.bridges.cast import (
    COUNTERS,
    DUE,
    GROUP,
    STREAM,
    KeepingSink,
    made_by_us,
    make_due,
    name_of_the_dead,
    places,
    publish,
    read_and_die,
)


@pytest.fixture
def consumers(redis):
    """The names of the group's consumers."""
    return lambda: {row["name"].decode() for row in redis.xinfo_consumers(STREAM, GROUP)}


def test_events_left_pending_by_a_killed_predecessor_are_delivered_at_once(redis, bridge, consumers):
    made_by_us(redis)
    ids = publish(redis, 5)
    read_and_die(redis, name_of_the_dead(), count=3)

    consumer = bridge().run_dry()

    assert sorted(consumer.sink.ids) == ids
    assert dict(zip(consumer.sink.ids, consumer.sink.attempts, strict=True)) == dict(
        zip(ids, [2, 2, 2, 1, 1], strict=True)
    )
    assert consumers() == {consumer.worker.subscription.consumer}
    assert places(redis) == {"done": 5}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells of processes nobody waited for")
def test_a_predecessor_that_ended_and_was_not_waited_for_is_dead_too(redis, bridge):
    ids = publish(redis, 3)
    made_by_us(redis)
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    host = delivery_membership.new_consumer_name().rpartition(":")[0].rpartition(":")[0]
    read_and_die(redis, f"{host}:{process.pid}:0123abcd")

    assert sorted(bridge().run_dry().sink.ids) == ids
    process.wait()


def test_more_than_fits_into_one_step_comes_too(redis, bridge):
    made_by_us(redis)
    publish(redis, 250)
    read_and_die(redis, name_of_the_dead(), count=250)

    assert len(set(bridge().run_dry().sink.ids)) == 250


def test_events_that_a_killed_predecessor_had_reclaimed_are_delivered_at_once(redis, bridge, consumers):
    made_by_us(redis)
    ids = publish(redis, 3)
    first, second = name_of_the_dead(), name_of_the_dead()
    read_and_die(redis, first)
    taken = bridge(consumer=second).worker
    taken._joiner.join_if_needed()
    while taken._upkeep.step():
        pass
    assert len(taken._membership.lease(10).events) == 3

    consumer = bridge().run_dry()

    assert consumer.sink.ids == ids
    assert consumer.sink.attempts == [3, 3, 3]
    assert consumers() == {consumer.worker.subscription.consumer}


def test_the_same_process_number_in_a_new_container_is_a_dead_predecessor(redis, bridge):
    made_by_us(redis)
    ids = publish(redis, 2)
    host_and_pid, _, _ = delivery_membership.new_consumer_name().rpartition(":")
    read_and_die(redis, f"{host_and_pid}:ffffffff")

    assert f":{os.getpid()}" in host_and_pid
    assert bridge().run_dry().sink.ids == ids


def test_events_left_pending_by_another_host_are_delivered_when_the_lease_is_over(redis, bridge):
    made_by_us(redis)
    ids = publish(redis, 2)
    read_and_die(redis, "elsewhere:17:0123abcd")

    assert bridge(lease_ms=60_000).run_dry().sink.ids == []
    # A lease that ends at once stands for one that ended.
    assert bridge(lease_ms=0, drain=True).run_dry().sink.ids == ids
    assert places(redis) == {"done": 2}


def test_a_worker_looks_for_silent_consumers_three_times_a_lease(redis, bridge):
    now = 0.0
    consumer = bridge(lease_ms=30_000, clock=lambda: now).run_dry()
    ids = publish(redis, 1)
    read_and_die(redis, name_of_the_dead())

    now = 9.9
    assert consumer.run_dry().sink.ids == []
    now = 10.0
    assert consumer.run_dry().sink.ids == ids


def test_a_group_with_nothing_pending_is_asked_for_its_consumers_and_no_more(redis, bridge):
    now = [0.0]
    consumer = bridge(lease_ms=30_000, clock=lambda: now[0]).run_dry()
    asked = []
    membership = consumer.worker._membership
    for name in ("list_consumers", "reclaim", "remove_silent_consumers"):
        method = getattr(membership, name)
        setattr(membership, name, lambda *a, _name=name, _method=method, **k: asked.append(_name) or _method(*a, **k))

    now[0] = 10.0
    consumer.worker.step()

    assert asked == ["list_consumers"]


def test_the_pending_events_of_a_group_that_synapse_did_not_make_stay_with_their_consumers(redis, bridge):
    publish(redis, 4)
    redis.xgroup_create(STREAM, GROUP, "0")
    read_and_die(redis, "analytics-1", count=2)
    ours = read_and_die(redis, "elsewhere:17:0123abcd", count=1)

    consumer = bridge(lease_ms=0).run_dry()

    assert "not made by Synapse" in consumer.said[1 + any("live" in line for line in consumer.said)]
    assert set(ours) < set(consumer.sink.ids)
    assert len(consumer.sink.ids) == 2
    assert redis.xpending(STREAM, GROUP)["consumers"] == [{"name": b"analytics-1", "pending": 2}]


@pytest.mark.parametrize("how", ["trimmed", "deleted"])
def test_an_event_that_was_cut_while_pending_is_counted_and_never_delivered(redis, bridge, how):
    made_by_us(redis)
    ids = publish(redis, 3)
    read_and_die(redis, name_of_the_dead())
    redis.xtrim(STREAM, maxlen=1, approximate=False) if how == "trimmed" else redis.xdel(STREAM, *ids[:2])

    consumer = bridge().run_dry()

    assert consumer.sink.ids == ids[2:]
    assert consumer.said[1] == (
        "2 events were trimmed from “orders” before the group “warehouse” had acknowledged "
        "them: lost, and counted as such."
    )
    assert consumer.worker.progress.lost == 2
    assert places(redis) == {"done": 1, "lost_trimmed": 2}


def test_a_trim_after_the_event_was_reclaimed_does_not_lose_it(redis, bridge):
    made_by_us(redis)
    ids = publish(redis, 3)
    read_and_die(redis, name_of_the_dead())
    bridge(KeepingSink(refuses=lambda _: True)).run_dry().worker.leave(connections.executor())
    make_due(redis)
    redis.xtrim(STREAM, maxlen=0, approximate=False)

    consumer = bridge(lease_ms=0).run_dry()

    assert consumer.sink.ids == ids
    assert [delivery.entry.event["n"] for delivery in consumer.sink.got] == [0, 1, 2]


def test_a_copy_removed_by_another_program_is_a_lost_event(redis, bridge):
    made_by_us(redis)
    redis.zadd(DUE, {"1-1": 0})

    consumer = bridge().run_dry()

    assert consumer.sink.ids == []
    assert "1 event was trimmed" in consumer.said[1]
    assert places(redis) == {"lost_trimmed": 1}


def test_an_entry_with_ten_thousand_binary_fields_comes_back_whole(redis, bridge):
    made_by_us(redis)
    fields = {f"field {n}\r\n".encode(): bytes([n % 256]) * (n % 40) for n in range(10_000)} | {b"\x00:,": b"3:a,"}
    redis.xadd(STREAM, fields)
    read_and_die(redis, name_of_the_dead())

    consumer = bridge().run_dry()

    assert consumer.sink.got[0].fields == fields
    assert consumer.sink.attempts == [2]


def test_a_consumer_that_stops_gives_back_what_it_could_not_deliver_and_leaves(redis, bridge, consumers):
    ids = publish(redis, 2)
    stopping = bridge(KeepingSink(refuses=lambda _: True)).run_dry()

    stopping.worker.leave(connections.executor())

    assert consumers() == set()
    assert places(redis) == {"waiting": 2}
    make_due(redis)
    assert bridge().run_dry().sink.ids == ids


def test_a_consumer_whose_name_another_uses_leaves_that_one_alone(redis, bridge, consumers):
    made_by_us(redis)
    publish(redis, 2)
    read_and_die(redis, "printer")
    twin = bridge(consumer="printer").run_dry()

    twin.worker.leave(connections.executor())

    assert consumers() == {"printer"}
    assert places(redis) == {"pending": 2}


def test_a_consumer_that_was_never_in_its_group_leaves_nothing(redis, bridge):
    bridge().worker.leave(connections.executor())

    assert redis.keys() == []


def test_names_of_consumers_that_fell_silent_long_ago_are_removed(redis, bridge, consumers, monkeypatch):
    monkeypatch.setattr(group_upkeep, "_FORGOTTEN_MS", 0)
    made_by_us(redis)
    publish(redis, 1)
    redis.xgroup_createconsumer(STREAM, GROUP, "idle")
    read_and_die(redis, "busy")

    consumer = bridge().run_dry()

    assert consumers() == {"busy", consumer.worker.subscription.consumer}
    assert redis.hget(COUNTERS, "done") is None
