"""A Redis at maxmemory still lets stored events be delivered and acknowledged."""

import pytest

from synapse.redis import ReplyError
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure
from synapse.redis.commands.delivery_log import DoneLog
from tests.bridges.cast import PLACE, STREAM, made_by_us, places, publish, read_and_die
from tests.conftest import using
from tests.valkey import running_valkey


@pytest.fixture(scope="module")
def small_valkey():
    with running_valkey("--maxmemory", "0") as server:
        yield server


@pytest.fixture
def redis(small_valkey, settings):
    with using(small_valkey, settings), small_valkey.client() as client:
        client.config_set("maxmemory", 0)
        client.flushall()
        yield client


@pytest.fixture
def full(redis):
    """Let the server be full from here on."""
    return lambda: redis.config_set("maxmemory", 1)


def test_a_full_redis_stores_no_new_event(redis, full):
    full()

    with pytest.raises(Exception, match="maxmemory"):
        publish(redis, 1)


@pytest.mark.parametrize("logs", [False, True], ids=["no log", "a delivery log"])
def test_a_consumer_joins_and_stored_events_are_delivered_retried_and_acknowledged(redis, send, full, logs):
    made_by_us(redis)
    ids = publish(redis, 4)
    full()

    assert not isinstance(send(delivery_commands.join(*PLACE, "me", start="0", mode="any", run="run")), ReplyError)
    assert read_and_die(redis, "me") == ids
    failure = Failure(id=ids[0], token="", error="no", took_ms=1, delay_ms=0)
    assert send(delivery_commands.fail(*PLACE, [failure], logs=logs)) == ["retry"]
    assert send(delivery_commands.release(*PLACE, "me", [(ids[1], "")])) == 1
    assert send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=1, logs=logs)).moved == 1
    assert send(delivery_commands.extend(*PLACE, ids[3:], lease_ms=60_000)) == [True]
    leased = send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=60_000, logs=logs))
    assert [event.id for event in leased.events] == ids[:3]
    assert send(delivery_commands.recall(*PLACE, "me", lease_ms=60_000, offset=0, limit=9, logs=logs)).ended == 4
    assert send(delivery_commands.done(*PLACE, ids, log=DoneLog() if logs else None)) == 4
    assert places(redis) == {"done": 4}


def test_a_group_is_made_again_and_keeps_its_order(redis, send, full):
    ids = publish(redis, 3, customer="a")
    full()

    assert send(delivery_commands.join(*PLACE, "me", start="0", mode="again", run="run")).created
    admitted = send(delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer"))
    assert [event.id for event in admitted.events] == ids[:1]
    send(delivery_commands.done(*PLACE, ids[:1]))
    assert send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=1)).events[0].id == ids[1]


def test_dead_letters_are_kept_and_given_back(redis, send, full):
    made_by_us(redis)
    ids = publish(redis, 2)
    read_and_die(redis, "me")
    full()

    failures = [Failure(id=id_, token="", error="no", took_ms=1, delay_ms=0, fatal=True) for id_ in ids]
    assert send(delivery_commands.fail(*PLACE, failures)) == ["dead", "dead"]
    found = send(dead_letter_commands.letters(*PLACE, count=9))
    assert send(dead_letter_commands.replay(*PLACE, [(found[0].id, b"")])) == ["retry"]
    assert send(dead_letter_commands.discard(*PLACE, [found[1].id])) == 1
    assert redis.xlen(STREAM) == 2
