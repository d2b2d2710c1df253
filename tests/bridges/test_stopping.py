"""A stop finishes the events in flight and cuts waiting short."""

import threading

import pytest

from streams import connections
from synapse.delivery.shutdown import Interrupted, Stop, ThreadStop
from tests.bridges.cast import PLACE, KeepingSink, places, publish
from tests.patience import eventually


def test_a_request_waits_for_work_and_ends_a_wait():
    stop = Stop()
    assert stop.run_interruptibly(lambda: "done") == "done"

    with pytest.raises(Interrupted):
        stop.run_interruptibly(stop.request)

    assert stop.requested
    with pytest.raises(Interrupted):
        stop.sleep(60)


def test_a_stop_request_lets_an_event_in_flight_be_acknowledged_and_releases_the_rest(redis, bridge):
    ids = publish(redis, 10)
    stop = Stop()
    sink = KeepingSink(refuses=lambda _: bool(stop.request()))
    consumer = bridge(sink, stop=stop, batch=4)

    consumer.worker.run()

    assert sink.ids == ids[:1]
    assert places(redis) == {"done": 1, "waiting": 3}
    # What was not begun was no attempt.
    rest = bridge().run_dry().sink
    assert rest.ids == ids[1:]
    assert set(rest.attempts) == {1}


def test_a_stop_from_another_thread_ends_a_read_that_waits_for_events(redis, bridge):
    stop = ThreadStop()
    consumer = bridge(stop=stop, block_ms=60_000)
    stop.interrupt = consumer.worker.interrupt
    thread = threading.Thread(target=consumer.worker.run)
    thread.start()
    eventually(lambda: any("b" in row["flags"] for row in redis.client_list()))

    stop.request()
    thread.join(30)

    assert not thread.is_alive()
    assert len(consumer.said) == 1  # that it reads, and nothing of a lost connection
    consumer.worker.leave(connections.executor())
    assert redis.xinfo_consumers(*PLACE) == []


def test_a_stop_from_another_thread_interrupts_nothing_but_a_wait():
    stop, interrupted = ThreadStop(), []
    stop.interrupt = lambda: interrupted.append(True)
    assert stop.run_interruptibly(lambda: "read") == "read"

    stop.request()

    assert interrupted == []
    with pytest.raises(Interrupted):
        stop.run_interruptibly(lambda: "read")


def test_an_error_of_a_wait_that_was_not_interrupted_is_told():
    with pytest.raises(OSError, match="reset"):
        ThreadStop().run_interruptibly(fail)


def fail():
    raise OSError("connection reset")


def test_a_read_that_redis_ends_by_force_is_done_again(redis, bridge):
    consumer = bridge(block_ms=2000)

    def work():
        while len(consumer.said) < 2:
            consumer.worker.step()

    thread = threading.Thread(target=work)
    thread.start()

    def unblock():
        blocked = [row["id"] for row in redis.client_list() if row["cmd"] == "xreadgroup" and "b" in row["flags"]]
        return [id_ for id_ in blocked if redis.client_unblock(id_, error=True)]

    eventually(unblock)
    eventually(lambda: len(consumer.said) >= 2)
    ids = publish(redis, 1)
    thread.join()

    assert consumer.said[1].startswith("Redis refused a command: UNBLOCKED")
    assert consumer.run_dry().sink.ids == ids
