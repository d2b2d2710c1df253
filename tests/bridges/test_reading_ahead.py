"""Where there is much to read, the next events are read while the sink is at work; none is lost or doubled by that."""

from functools import partial

import pytest

from streams import connections
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import SinkAway
from tests.bridges.cast import (
    GROUP,
    STREAM,
    KeepingSink,
    made_by_us,
    name_of_the_dead,
    places,
    publish,
    read_and_die,
)


@pytest.fixture
def bridge(bridge):
    """A few events are much to read here, and take no time."""
    return partial(bridge, worth_ahead=5, clock=lambda: 0.0)


class Looking(KeepingSink):
    """Notes how many events were pending while it was at work with a batch."""

    def __init__(self, redis):
        super().__init__()
        self.redis = redis
        self.pending = []

    def deliver(self, batch, may_begin):
        self.pending.append(self.wait_for_the_next())
        return super().deliver(batch, may_begin)

    def wait_for_the_next(self):
        self.prefetcher.wait()
        return self.redis.xpending(STREAM, GROUP)["pending"]


def test_the_next_batch_is_read_while_a_full_one_is_delivered(redis, bridge):
    ids = publish(redis, 25)
    sink = Looking(redis)
    consumer = bridge(sink, batch=10)
    sink.prefetcher = consumer.worker._prefetcher

    consumer.run_dry()

    assert sink.ids == ids
    assert sink.pending == [20, 15, 5]
    assert places(redis) == {"done": 25}


def test_a_batch_that_was_as_full_as_asked_has_the_next_one_read_although_there_is_more_room_now(redis, bridge):
    """The next batch is requested before the sink's speed on the current one is known."""
    ids = publish(redis, 1000)
    now, sizes = [0.0], []

    class Quick(Looking):
        def deliver(self, batch, may_begin):
            now[0] += 0.0001 * len(batch)
            sizes.append(len(batch))
            return super().deliver(batch, may_begin)

    sink = Quick(redis)
    consumer = bridge(sink, batch=400, clock=lambda: now[0])
    sink.prefetcher = consumer.worker._prefetcher

    consumer.run_dry()

    assert sink.ids == ids
    assert sizes[0] < sizes[2] < sizes[4]
    # While it was at work with any but the last, more was in hand.
    assert all(pending > size for pending, size in zip(sink.pending[:-1], sizes[:-1], strict=True))


def test_a_worker_with_a_count_reads_no_further_events_ahead(redis, bridge):
    ids = publish(redis, 30)
    consumer = bridge(count=10, batch=10)

    consumer.worker.run()

    assert consumer.sink.ids == ids[:10]
    assert places(redis) == {"done": 10}


def test_events_read_ahead_are_released_when_a_stop_is_requested(redis, bridge):
    ids = publish(redis, 30)
    stop = Stop()
    sink = KeepingSink(refuses=lambda _: bool(stop.request()))
    consumer = bridge(sink, stop=stop, batch=10)

    consumer.worker.run()
    consumer.worker.leave(connections.executor())

    assert sink.ids == ids[:1]
    assert places(redis) == {"done": 1, "waiting": 19}
    rest = bridge(batch=10).run_dry().sink
    assert sorted(rest.ids) == sorted(ids[1:])
    assert set(rest.attempts) == {1}


def test_events_read_ahead_are_released_when_the_sink_is_away(redis, bridge):
    ids = publish(redis, 30)
    sink = KeepingSink()
    consumer = bridge(sink, batch=10)
    deliver, sink.deliver = sink.deliver, lambda *_: (_ for _ in ()).throw(SinkAway("closed"))

    consumer.worker.step()
    assert consumer.worker.pause > 0
    sink.deliver = deliver
    consumer.run_dry()

    assert sorted(sink.ids) == sorted(ids)
    assert set(sink.attempts) == {1}


def test_a_group_that_is_lost_during_a_delivery_is_recreated(redis, bridge):
    publish(redis, 30)
    sink = KeepingSink(refuses=lambda _: bool(redis.delete(STREAM)))
    consumer = bridge(sink, batch=10)
    consumer.worker.step()
    ids = publish(redis, 3)
    sink.refuses = lambda _: False

    consumer.run_dry()

    assert sink.ids[-3:] == ids
    assert redis.hget("syn:{orders}:cnt:warehouse", "groups_recreated") == b"1"


def test_no_event_is_lost_when_redis_is_killed_during_a_delivery(durable_valkey, bridge):
    with durable_valkey.client() as redis:
        ids = publish(redis, 30)
        killed = []

        def kill(_):
            if not killed:
                killed.append(durable_valkey.kill())
            return False

        consumer = bridge(KeepingSink(refuses=kill), batch=10)
        consumer.worker.step()
        durable_valkey.start()

        consumer.run_dry()

        assert set(consumer.sink.ids) == set(ids)
        assert places(redis) == {"done": 30}


def test_events_left_under_the_consumers_own_name_are_reclaimed_before_reading_ahead(redis, bridge):
    ids = publish(redis, 2000)
    made_by_us(redis)
    name = name_of_the_dead()
    left = read_and_die(redis, name, 600)

    sink = bridge(batch=500, consumer=name).run_dry().sink

    assert sorted(sink.ids) == sorted(ids), "each once"
    assert {delivery.id for delivery in sink.got if delivery.attempt > 1} == set(left)


def test_no_event_is_handled_twice_when_redis_goes_away_while_reading_ahead(durable_valkey, bridge):
    with durable_valkey.client() as redis:
        ids = publish(redis, 2000)
        killed = []

        def kill(_):
            if len(sink.got) == 700 and not killed:
                consumer.worker._prefetcher.wait()
                killed.append(durable_valkey.kill())
            return False

        sink = KeepingSink(refuses=kill)
        consumer = bridge(sink, batch=250)
        while not killed:
            consumer.worker.step()
        durable_valkey.start()

        consumer.run_dry()

        assert sorted(sink.ids) == sorted(ids), "each once"


def test_a_sink_that_fails_again_and_again_is_not_given_what_was_read_ahead(redis, bridge):
    publish(redis, 2000)
    batches = []

    class Counting(KeepingSink):
        def deliver(self, batch, may_begin):
            batches.append(len(batch))
            return super().deliver(batch, may_begin)

    sink = Counting()
    consumer = bridge(sink, batch=200)
    while batches[-1:] != [200]:
        consumer.worker.step()
    sink.refuses = lambda _: True
    batches.clear()
    for _ in range(3):
        consumer.worker.step()

    assert batches[0] == 200
    assert set(batches[1:]) == {1}


def test_a_worker_is_caught_up_when_a_read_after_the_last_batch_is_empty(redis, bridge):
    ids = publish(redis, 20)

    def publish_more(_):
        if len(sink.got) == 19:
            consumer.worker._prefetcher.wait()
            ids.extend(publish(redis, 1))
        return False

    sink = KeepingSink(refuses=publish_more)
    consumer = bridge(sink, batch=10, drain=True)

    while not consumer.worker.finished:
        consumer.worker.step()

    assert sink.ids == ids
