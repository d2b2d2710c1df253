"""Redis is away, empties itself, or loses the group: the worker delivers again soon after, without being restarted.

`SYNAPSE_TESTS=full` keeps Redis away for a minute, so that the waits between tries are at their longest.
"""

import threading
import time

import pytest

from streams import connections
from synapse.delivery import membership
from synapse.delivery.membership import Subscription
from synapse.delivery.shutdown import ThreadStop
from synapse.delivery.worker import Worker
from tests.bridges.cast import GROUP, STREAM, KeepingSink, publish
from tests.chaos.profile import FULL
from tests.patience import eventually

# Seconds: how long Redis is away, and when the worker must be at work again.
AWAY = (1, 10, 60) if FULL else (1,)
# On a machine that does much else at once the promise cannot be measured, only whether it is at work again at all.
PROMISED = 10.0 if FULL else 180.0


@pytest.fixture
def delivered(durable_valkey):
    """Yield the events delivered by a worker that runs in a thread and rejoins after each failure."""
    stop, sink = ThreadStop(), KeepingSink()
    subscription = Subscription(stream=STREAM, group=GROUP, consumer=membership.new_consumer_name(), block_ms=500)
    executor = connections.blocking_executor(0.5)
    worker = Worker(subscription, executor=executor, sink=sink, say=lambda _: None, stop=stop)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    yield sink.got
    stop.request()
    thread.join(timeout=60)
    worker.leave(connections.executor())
    executor.close()


@pytest.fixture
def recovers(delivered, durable_valkey, capsys):
    """Publish, and hold the worker to its promise."""

    def recovers(what):
        since = time.monotonic()
        with durable_valkey.client() as redis:
            (id_,) = publish(redis, 1)
        eventually(lambda: id_ in [delivery.id for delivery in delivered], within=PROMISED)
        with capsys.disabled():
            print(f"\n{what}: delivered again after {time.monotonic() - since:.2f} s")

    return recovers


@pytest.mark.parametrize("seconds", AWAY)
def test_a_worker_recovers_when_redis_was_away(durable_valkey, recovers, seconds):
    recovers("at first")
    durable_valkey.kill()
    # How long Redis is away is what this is about; nothing is waited for.
    threading.Event().wait(seconds)
    durable_valkey.start()

    recovers(f"Redis was away for {seconds} s")


@pytest.mark.parametrize("loss", ["everything flushed", "group destroyed", "stream deleted"])
def test_a_worker_recovers_when_redis_lost_its_data_or_the_group(durable_valkey, recovers, loss):
    recovers("at first")
    with durable_valkey.client() as redis:
        match loss:
            case "everything flushed":
                redis.flushall()
            case "group destroyed":
                redis.xgroup_destroy(STREAM, GROUP)
            case "stream deleted":
                redis.delete(STREAM)

    recovers(loss)
