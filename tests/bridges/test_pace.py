"""How much is taken at once: a fraction of a second's work, and single events while nothing succeeds."""

import pytest

from synapse.delivery.batch_sizer import MANY_FAILURES, BatchSizer
from synapse.errors.delivery import SinkAway, SinkError
from tests.bridges.cast import KeepingSink, places, publish
from tests.tables import for_each


@for_each(
    "lease, seconds_an_event, room",
    [
        (60, 0.00001, 500),  # as many as may be
        (60, 0.001, 50),
        (60, 0.02, 2),
        (60, 5.0, 1),  # never none
        (0.02, 0.001, 10),  # no more than fits into half of the lease
        (0, 0.001, 50),
    ],
)
def test_a_batch_is_sized_to_take_a_fraction_of_a_second(lease, seconds_an_event, room):
    pace = BatchSizer(lease)
    for _ in range(50):
        pace.record_latency(10, 10 * seconds_an_event)

    assert pace.allowed_count(500) == pytest.approx(room, abs=1)
    assert pace.allowed_count(0) == 0


def test_a_sink_of_unknown_speed_gets_a_few_events():
    assert BatchSizer(60).allowed_count(500) == 10
    assert BatchSizer(60).allowed_count(3) == 3


def test_while_nothing_succeeds_single_events_are_tried_ever_more_slowly():
    pace = BatchSizer(60)
    pace.record_outcome(taken=1, failed=MANY_FAILURES)
    assert (pace.allowed_count(500), pace.backoff(1.0)) == (10, 0.0)

    pace.record_outcome(taken=0, failed=MANY_FAILURES)
    rests = []
    for _ in range(7):
        assert pace.allowed_count(500) == 1
        rests.append(pace.backoff(1.0))
        pace.record_outcome(taken=0, failed=1)

    assert rests == [1, 2, 4, 8, 16, 30, 30]
    pace.record_outcome(taken=1, failed=0)
    assert (pace.allowed_count(500), pace.backoff(1.0)) == (10, 0.0)


class AbsentSink(KeepingSink):
    """A sink that can take nothing while it is `absent`."""

    absent = True

    def deliver(self, batch, may_begin):
        if self.absent:
            raise SinkAway("The warehouse is closed")
        return super().deliver(batch, may_begin)


def test_events_for_a_sink_that_is_away_are_released_and_delivered_when_it_is_back(redis, bridge):
    ids = publish(redis, 50)
    consumer = bridge(AbsentSink())

    for _ in range(3):
        assert consumer.worker.step() is False
        assert 0.2 <= consumer.worker.pause <= 2
    assert places(redis) == {"waiting": 10}
    assert consumer.worker.progress.status().state == "waiting"
    assert consumer.worker.progress.status().reason == "The warehouse is closed"
    assert consumer.said[1].startswith("The warehouse is closed. Next try in ")

    consumer.sink.absent = False
    consumer.run_dry()

    assert set(consumer.sink.ids) == set(ids)
    assert set(consumer.sink.attempts) == {1}
    assert places(redis) == {"done": 50}
    assert "Events are taken again." in consumer.said
    assert consumer.worker.progress.status().state == "running"


def test_a_sink_that_fails_at_everything_does_not_have_the_whole_stream_read_for_it(redis, bridge):
    publish(redis, 200)
    sink = KeepingSink(refuses=lambda _: True)
    consumer = bridge(sink)

    while not consumer.worker.pause:
        consumer.worker.step()
    for _ in range(5):
        consumer.worker.step()

    assert places(redis)["waiting"] < 60
    assert consumer.worker.progress.status().state == "waiting"
    assert "single events are tried" in consumer.said[-1]


def test_an_event_that_never_succeeds_does_not_slow_the_others(redis, bridge):
    ids = publish(redis, 500)
    consumer = bridge(KeepingSink(refuses=lambda delivery: delivery.id == ids[0]))

    consumer.run_dry()

    assert consumer.sink.ids == ids[1:]
    assert consumer.worker.pause == 0


class PickySink(KeepingSink):
    """A sink for which no event will ever do."""

    def take(self, delivery):
        raise SinkError("never", permanent=True)


def test_undeliverable_events_do_not_slow_the_sink(redis, bridge):
    publish(redis, 3 * MANY_FAILURES)
    consumer = bridge(PickySink())

    consumer.run_dry()

    assert places(redis) == {"dead": 3 * MANY_FAILURES}
    assert not any("Next try in" in line for line in consumer.said)
