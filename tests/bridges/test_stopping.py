"""A stop finishes what is in hand and cuts waiting short."""

import threading

import pytest

from bridges.runtime.stop import Interrupted, Stop
from tests.bridges.cast import KeepingSink, places, publish
from tests.patience import eventually


def test_a_request_waits_for_work_and_ends_a_wait():
    stop = Stop()
    assert stop.interruptible(lambda: "done") == "done"

    with pytest.raises(Interrupted):
        stop.interruptible(stop.request)

    assert stop.requested
    with pytest.raises(Interrupted):
        stop.sleep(60)


def test_a_request_while_an_event_is_in_hand_lets_it_be_settled_and_gives_the_rest_back(redis, bridge):
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
