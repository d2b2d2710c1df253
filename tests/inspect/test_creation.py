"""Every defined stream exists in Redis, and is empty until its first event."""

import pytest

from streams import connections
from streams.snapshot import holder
from synapse.redis.errors import RedisUnavailable
from synapse.retention.stream_creation import LOOK_AGAIN, StreamCreator, ensure_streams


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keeper(executor, clock):
    return StreamCreator(connections.executor, holder.current, clock)


def test_a_new_stream_exists_empty_and_without_a_group(keeper, define, redis):
    define("orders")

    assert keeper.step()

    info = redis.xinfo_stream("orders")
    assert (info["length"], info["groups"], info["entries-added"]) == (0, 0, 0)
    assert redis.xrange("orders") == []


def test_a_stream_with_events_and_groups_is_left_as_it_is(keeper, define, redis):
    redis.xadd("orders", {"n": 1})
    redis.xgroup_create("orders", "billing", "0")
    before = redis.xinfo_stream("orders")
    define("orders")

    keeper.step()

    assert redis.xinfo_stream("orders") == before


def test_the_keeper_does_no_work_while_the_catalog_is_unchanged(keeper, define, redis):
    define("orders")
    keeper.step()

    assert not keeper.step()


def test_a_stream_that_joins_the_catalog_is_made(keeper, define, redis):
    define("orders")
    keeper.step()

    define("parcels")

    assert keeper.step()
    assert redis.type("parcels") == b"stream"


def test_a_stream_that_redis_lost_is_made_again_after_a_while(keeper, define, redis, clock):
    define("orders")
    keeper.step()
    redis.flushall()

    assert not keeper.step()
    clock.now += LOOK_AGAIN

    assert keeper.step()
    assert redis.type("orders") == b"stream"


def test_a_key_that_holds_something_else_is_told_once_and_left_alone(keeper, define, redis, clock, caplog):
    define("orders")
    define("parcels")
    redis.set("orders", "mine")

    keeper.step()
    clock.now += LOOK_AGAIN
    keeper.step()

    assert redis.get("orders") == b"mine"
    assert redis.type("parcels") == b"stream"
    assert [record.getMessage() for record in caplog.records] == [
        "the Redis key 'orders' does not hold a stream; nothing can be published there"
    ]


def test_while_redis_is_away_the_next_step_tries_again(define, own_valkey, clock):
    define("orders")
    keeper = StreamCreator(connections.executor, holder.current, clock)
    own_valkey.kill()
    with pytest.raises(RedisUnavailable):
        keeper.step()

    own_valkey.start()

    assert keeper.step()
    with own_valkey.client() as client:
        assert client.type("orders") == b"stream"


def test_an_empty_catalog_needs_nothing(executor):
    assert executor.run(ensure_streams([])) == []
