"""How long publishing and delivery take: counted in memory, flushed with the counters, shown as metrics."""

import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import connections
from synapse.publishing import counters
from synapse.publishing.counters import StreamCounters
from synapse.redis import keyspace
from synapse.runtime.histogram import BOUNDS, NAMES, SUM, fields, quantiles
from synapse.statistics.query import scale_values
from synapse.statistics.series import BY_NUMBER, DURATIONS, QUANTILES

EVENT = orjson.dumps({"event_type": "order-placed"})
PROMETHEUS = {"accept": "text/plain;version=0.0.4"}


def test_a_duration_is_counted_in_the_first_bucket_that_holds_it():
    counted = fields([0.0, BOUNDS[0], BOUNDS[0] * 1.01, BOUNDS[-1], BOUNDS[-1] + 1])

    assert {name: count for name, count in counted.items() if name != SUM} == {
        NAMES[0]: 2,
        NAMES[1]: 1,
        NAMES[-2]: 1,
        "+Inf": 1,
    }


@pytest.mark.parametrize(
    ("counts", "parts", "expected"),
    [
        ({}, [0.5], []),
        ({NAMES[0]: 10}, [0.5], [BOUNDS[0] / 2]),
        ({NAMES[0]: 50, NAMES[2]: 50}, [0.5, 0.75], [BOUNDS[0], (BOUNDS[1] + BOUNDS[2]) / 2]),
        ({NAMES[2]: 1, NAMES[0]: 1, NAMES[7]: 98}, [0.01, 0.02], [BOUNDS[0], BOUNDS[2]]),
        ({NAMES[3]: 4, "+Inf": 3}, [0.25, 0.99], [(BOUNDS[2] + 7 / 16 * (BOUNDS[3] - BOUNDS[2])), BOUNDS[-1]]),
    ],
)
def test_quantiles_are_found_within_their_buckets(counts, parts, expected):
    assert quantiles(parts, counts) == [pytest.approx(each) for each in expected]


@given(st.floats(0, 70))
def test_a_duration_is_kept_with_two_significant_digits(seconds):
    each = DURATIONS["publish"]

    found = each.from_stored(each.to_stored(seconds))

    assert found == pytest.approx(seconds, rel=0.05, abs=1e-6)
    assert len(str(round(found * 1_000_000)).rstrip("0")) <= 2
    assert each.to_stored(found) == each.to_stored(seconds) <= each.to_stored(seconds * 1.2)


def test_durations_are_added_to_those_in_redis_and_not_twice(executor, redis):
    pending = StreamCounters()
    for _ in range(2):
        pending.observe("orders", "attempt", 0.003, group="billing: the <b>first</b>", times=2)
        executor.run(pending.flush())
    executor.run(pending.flush())

    assert redis.hgetall(keyspace.durations("orders")) == {
        b"attempt:0.004:billing: the <b>first</b>": b"4",
        b"attempt:sum:billing: the <b>first</b>": b"12000",
    }


def test_a_first_count_calls_no_function_in_which_another_thread_could_make_the_same_place():
    pending = StreamCounters()
    called = []

    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        pending.add("orders", "published")
        pending.observe("orders", "attempt", 0.003)
    finally:
        sys.setprofile(None)

    assert called == ["add", "observe"]


def test_a_process_that_never_flushes_keeps_a_bounded_number_of_counts_and_loses_none(executor, redis, monkeypatch):
    monkeypatch.setattr(counters, "MOST_WAITING", 10)
    pending = StreamCounters()
    for _ in range(100):
        pending.add("orders", "published", 2)
        pending.refuse("orders", "stream-full")
        pending.observe("orders", "attempt", 0.003, group="billing", times=3)

    lists = [*pending._increments.values(), *pending._durations["attempt"].values()]
    assert max(len(waiting) for by_name in lists for waiting in by_name.values()) <= 10
    executor.run(pending.flush())
    assert {field: int(count) for field, count in redis.hgetall(keyspace.stats("orders")).items()} == {
        b"published": 200,
        b"refused": 100,
        b"refused:stream-full": 100,
    }
    assert redis.hget(keyspace.durations("orders"), "attempt:0.004:billing") == b"300"


def test_a_publish_is_one_duration_in_the_metrics(ask, define):
    define("orders")
    for _ in range(3):
        assert ask("POST", "/events/orders", EVENT).status == 201
    connections.executor().run(connections.counters.flush())

    lines = ask("GET", "/metrics", headers=PROMETHEUS).body.decode().splitlines()

    assert 'synapse_publish_seconds_count{stream="orders"} 3.0' in lines
    assert 'synapse_publish_seconds_bucket{le="+Inf",stream="orders"} 3.0' in lines
    buckets = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("synapse_publish_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert any(line.startswith('synapse_build_info{python="3.') for line in lines)
    assert any(line.startswith("process_") for line in lines)


def test_statistics_have_the_quantiles_of_what_ended_between_two_samples(scene):
    pending = StreamCounters()
    scene.publish()
    scene.redis.xgroup_create("orders", "billing", "0")
    pending.observe("orders", "publish", 60.0)
    connections.executor().run(pending.flush())
    scene.sample(2)
    for _ in range(100):
        pending.observe("orders", "publish", 0.0009)
    pending.observe("orders", "delivered", 3.0, group="billing")
    connections.executor().run(pending.flush())
    scene.sample(2)

    found = scene.rows("publish_seconds", "delivered_seconds", steps=3)
    found = {key: scale_values(BY_NUMBER[key.number], row) for key, row in found.items()}
    of_publishing = {key.label: row for key, row in found.items() if not key.group}
    assert set(of_publishing) == set(QUANTILES)
    assert of_publishing["0.5"] == [None, 0.00075, None]
    assert of_publishing["0.5"][1] < of_publishing["0.99"][1] <= 0.001
    assert all(2.048 < row[1] <= 4.1 for key, row in found.items() if key.group == "billing")


def test_the_highest_quantile_of_a_minute_is_shown(scene):
    pending = StreamCounters()
    scene.sample(13)
    for seconds in (0.0009, 0.9, 0.0009):
        pending.observe("orders", "publish", seconds)
        connections.executor().run(pending.flush())
        scene.sample()
    scene.sample(10)

    (row,) = [row for key, row in scene.rows("publish_seconds", seconds=60, steps=2).items() if key.label == "0.5"]
    row = scale_values(DURATIONS["publish"], row)
    assert 0.512 < row[1] < 1.024 or 0.512 < row[0] < 1.024
