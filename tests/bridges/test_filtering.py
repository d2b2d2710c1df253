"""A bridge for some event types acknowledges and counts the others without delivering them."""

from tests.bridges.cast import STREAM, BrokenSink, KeepingSink, make_due, places, publish

ONLY = frozenset({"order-placed"})


def test_events_of_other_types_are_acknowledged_and_counted(redis, bridge):
    ids = publish(redis, 2)
    redis.xadd(STREAM, {"event_type": "order-paid"})
    redis.xadd(STREAM, {"n": "no type"})
    redis.xadd(STREAM, {b"event_type": b"order-placed\xff"})

    consumer = bridge(only=ONLY).run_dry()

    assert consumer.sink.ids == ids
    assert places(redis) == {"done": 2, "filtered": 3}
    assert consumer.worker.progress.status().filtered == 3


def test_events_that_a_bridge_filters_out_are_acknowledged_while_its_sink_fails(redis, bridge):
    redis.xadd(STREAM, {"event_type": "order-paid"})
    publish(redis, 1)

    bridge(BrokenSink(), only=ONLY).run_dry()

    assert places(redis) == {"waiting": 1, "filtered": 1}


def test_an_event_scheduled_for_retry_is_acknowledged_when_its_type_is_no_longer_selected(redis, bridge):
    publish(redis, 2)
    bridge(KeepingSink(refuses=lambda _: True)).worker.step()
    make_due(redis)

    consumer = bridge(only=frozenset({"order-paid"})).run_dry()

    assert consumer.sink.ids == []
    assert places(redis) == {"filtered": 2}


def test_draining_reads_past_events_that_the_bridge_filters_out(redis, bridge):
    for _ in range(250):
        redis.xadd(STREAM, {"event_type": "order-paid"})
    ids = publish(redis, 1)

    consumer = bridge(only=ONLY, drain=True)
    consumer.worker.run()

    assert consumer.sink.ids == ids
