"""No event is begun on a lease that is half over: another consumer could have it before this one is through."""

import time

import pytest

from streams import connections
from tests.bridges.cast import KeepingSink, make_due, places, publish


class SlowSink(KeepingSink):
    """Takes so many seconds for an event, by a clock of its own."""

    def __init__(self, seconds, **options):
        super().__init__(**options)
        self.seconds, self.now = seconds, 0.0

    def take(self, delivery):
        self.now += self.seconds
        super().take(delivery)


@pytest.mark.parametrize(("seconds", "begun"), [(4.9, 7), (6.1, 5), (29.0, 2), (31.0, 1)])
def test_events_not_begun_after_half_the_lease_are_released_without_an_attempt(redis, bridge, seconds, begun):
    ids = publish(redis, 10)
    sink = SlowSink(seconds)
    consumer = bridge(sink, lease_ms=60_000, clock=lambda: sink.now)

    consumer.worker._step_once()

    assert sink.ids == ids[:begun]
    assert places(redis) == {"done": begun, "waiting": 10 - begun}
    sink.seconds = 0
    consumer.run_dry()
    assert sink.ids == ids
    # Waiting for their turn was no attempt.
    assert set(sink.attempts) == {1}


def test_retried_events_not_begun_after_half_the_lease_are_released_too(redis, bridge):
    ids = publish(redis, 10)
    bridge(KeepingSink(refuses=lambda _: True)).run_dry().worker.leave(connections.executor())
    make_due(redis)
    sink = SlowSink(20)
    consumer = bridge(sink, lease_ms=60_000, clock=lambda: sink.now)

    consumer.worker._step_once()
    assert places(redis) == {"done": 2, "waiting": 8}
    consumer.run_dry()

    assert set(sink.ids) == set(ids)
    assert set(sink.attempts) == {2}


def test_a_process_that_was_frozen_begins_nothing_when_it_wakes(redis, bridge):
    """Another one may have its events by then."""
    consumer = bridge(lease_ms=60_000).run_dry()
    publish(redis, 3)
    held = consumer.worker._membership.read(10, 0)

    consumer.worker._dispatcher.deliver(held, since=time.monotonic() - 31)
    consumer.worker._dispatcher.flush_outcomes(consumer.worker._membership)

    assert consumer.sink.ids == []
    assert places(redis) == {"waiting": 3}
