"""Delivery from a stream into a sink: once each, in order, acknowledged after the sink has taken the event."""

from synapse.delivery.membership import Subscription
from synapse.delivery.worker import IDLE_AFTER, IDLE_BLOCK_MS
from tests.bridges.cast import BrokenSink, KeepingSink, places, publish


def test_every_event_is_given_to_the_sink_and_then_acknowledged(redis, bridge):
    ids = publish(redis, 3)

    consumer = bridge().run_dry()

    assert consumer.sink.ids == ids
    assert consumer.sink.attempts == [1, 1, 1]
    assert [delivery.entry.event["n"] for delivery in consumer.sink.got] == [0, 1, 2]
    assert places(redis) == {"done": 3}
    assert consumer.worker.progress.delivered == 3


def test_a_restarted_consumer_delivers_only_the_later_events(redis, bridge):
    publish(redis, 2)
    first = bridge().run_dry()
    first.worker.leave(first.worker._membership._executor)
    later = publish(redis, 2)

    assert bridge().run_dry().sink.ids == later


def test_two_consumers_of_a_group_share_its_events(redis, bridge):
    ids = publish(redis, 30)
    one, other = bridge(batch=7), bridge(batch=7)

    while one.worker.step() | other.worker.step():
        pass

    assert len(one.sink.ids) >= 7
    assert len(other.sink.ids) >= 7
    assert sorted(one.sink.ids + other.sink.ids) == sorted(ids)
    assert places(redis) == {"done": 30}


def test_the_second_consumer_of_a_group_reports_the_first_one(redis, bridge):
    first, second = bridge(), bridge()

    first.worker.step()
    second.worker.step()

    assert first.said == [f"Reading “orders” in the new group “warehouse” as {first.worker.subscription.consumer}."]
    assert "live consumers already" in second.said[1]
    assert first.worker.subscription.consumer in second.said[1]


def test_two_consumers_of_one_name_cause_a_warning_and_lose_no_event(redis, bridge):
    ids = publish(redis, 10)
    one, other = bridge(consumer="printer", batch=5), bridge(consumer="printer", batch=5)

    one.worker.step()
    other.run_dry()
    one.run_dry()

    assert "both are taken for one" in other.said[1]
    assert sorted(one.sink.ids + other.sink.ids) == sorted(ids)


def test_an_event_that_the_sink_refuses_is_retried_and_the_others_are_acknowledged(redis, bridge):
    ids = publish(redis, 3)
    sink = KeepingSink(refuses=lambda delivery: delivery.id == ids[1] and delivery.attempt == 1)
    consumer = bridge(sink, lease_ms=0)

    consumer.worker.step()
    assert places(redis) == {"done": 2, "waiting": 1}
    consumer.run_dry()

    assert sink.ids == [ids[0], ids[2], ids[1]]
    assert sink.attempts == [1, 1, 2]
    assert consumer.said[1] == f"{ids[1]}, attempt 1: not this one. It will be retried in 0 s."
    assert places(redis) == {"done": 3}


def test_a_sink_that_breaks_leaves_every_event_unacknowledged_and_the_worker_running(redis, bridge):
    publish(redis, 3)
    consumer = bridge(BrokenSink())

    consumer.run_dry()

    assert places(redis) == {"waiting": 3}
    assert "RuntimeError: broken" in consumer.said[1]


def test_a_sink_that_answers_for_too_few_events_has_taken_none(redis, bridge):
    publish(redis, 3)
    sink = BrokenSink()
    sink.deliver = lambda *_: [None]

    bridge(sink).run_dry()

    assert places(redis) == {"waiting": 3}


def test_a_refused_event_is_retried_only_when_it_is_due(redis, bridge):
    publish(redis, 1)
    sink = KeepingSink(refuses=lambda _: True)
    consumer = bridge(sink)

    consumer.run_dry()
    consumer.run_dry()

    assert len(consumer.said) == 2
    assert places(redis) == {"waiting": 1}


def test_no_events_are_read_for_a_sink_that_is_gone(redis, bridge):
    ids = publish(redis, 2)
    sink = KeepingSink()
    sink.is_gone = lambda: True
    consumer = bridge(sink)

    consumer.worker.run()

    assert consumer.worker.finished
    assert sink.ids == []
    assert bridge().run_dry().sink.ids == ids


def test_draining_ends_when_all_events_are_delivered(redis, bridge):
    publish(redis, 250)
    consumer = bridge(drain=True)

    consumer.worker.run()

    assert consumer.worker.finished
    assert len(consumer.sink.ids) == 250


def test_a_worker_with_a_count_delivers_and_reads_exactly_that_many_events(redis, bridge):
    ids = publish(redis, 5)
    consumer = bridge(count=3)

    consumer.worker.run()

    assert consumer.sink.ids == ids[:3]
    assert places(redis) == {"done": 3}
    assert bridge().run_dry().sink.ids == ids[3:]


def test_an_event_due_soon_shortens_the_wait_for_new_ones(bridge):
    worker = bridge(block_ms=2000).worker

    assert worker._block_ms(None, worked=False) == 2000
    assert worker._block_ms(300, worked=False) == 300
    assert worker._block_ms(None, worked=True) == 0
    assert Subscription(stream="s", group="g", consumer="c").block_ms == 2000


def test_a_worker_that_had_nothing_to_do_for_long_waits_longer_until_something_comes(redis, bridge):
    now = [0.0]
    consumer = bridge(block_ms=1000, clock=lambda: now[0])
    worker = consumer.worker
    now[0] = IDLE_AFTER

    assert worker._block_ms(None, worked=False) == IDLE_BLOCK_MS
    assert worker._block_ms(300, worked=False) == 300
    assert bridge(block_ms=0, clock=lambda: now[0]).worker._block_ms(None, worked=False) == 0

    publish(redis, 1)
    worker.step()
    assert consumer.sink.ids
    assert worker._block_ms(None, worked=False) == 1000


def test_leasing_in_a_group_without_due_events_takes_two_commands(redis, bridge):
    worker = bridge().run_dry().worker
    redis.config_resetstat()

    leased = worker._membership.lease(100)

    assert (leased.events, leased.next_due_ms, leased.waiting) == ([], None, 0)
    called = {name: row["calls"] for name, row in redis.info("commandstats").items()}
    assert {name for name in called if "eval" not in name and "config" not in name} <= {
        "cmdstat_zcard",
        "cmdstat_hget",
        "cmdstat_info",
    }


def test_foreign_and_broken_entries_are_delivered_as_far_as_they_can_be_read(redis, bridge):
    redis.xadd("orders", {b"\xff\xfe": b"\x00\x1b[2J", "n": "1"})
    redis.xadd("orders", {"payload": '{"a":1}', "event_type": "from-elsewhere"})
    consumer = bridge(types_of=lambda: {"typed": {"code": frozenset({"string"})}})
    redis.xadd("orders", {"event_type": "typed", "code": "007"})

    consumer.run_dry()

    events = [delivery.entry.event for delivery in consumer.sink.got]
    assert events == [
        {"��": "\x00\x1b[2J", "n": 1},
        {"a": 1, "event_type": "from-elsewhere"},
        {"event_type": "typed", "code": "007"},
    ]
