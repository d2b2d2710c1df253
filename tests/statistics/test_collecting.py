"""What is read of replies that are others than before gives what reading all of them gives."""

import random
from contextlib import suppress

import pytest
from redis.exceptions import ResponseError

from streams import connections
from synapse.publishing.counters import StreamCounters
from synapse.redis import keyspace
from synapse.statistics.collection import Collector
from synapse.statistics.series import DURATIONS

STREAMS = ["orders", "returns"]
GROUPS = ["billing", "shop", "été"]
OF_TIME = {each.number for each in DURATIONS.values()}


def go_on(redis, dice, pending):
    """Let something happen to a stream: what is usual, what is rare, and what should not be."""
    stream, group = dice.choice(STREAMS), dice.choice(GROUPS)
    counters, dead = keyspace.counters(stream, group), keyspace.dead_letters(stream, group)
    deeds = {
        "publish": lambda: redis.xadd(stream, {"event_type": "order-placed"}),
        "count": lambda: redis.hincrby(keyspace.stats(stream), dice.choice(("published", "refused:stream-full")), 2),
        "join": lambda: redis.xgroup_create(stream, group, dice.choice("0$"), mkstream=True),
        "read": lambda: redis.xreadgroup(group, "one", {stream: ">"}, count=2),
        "deliver": lambda: redis.hincrby(counters, dice.choice(("done", "retried", "failed:timeout")), 1),
        "take time": lambda: pending.observe(stream, "attempt", dice.random(), group=group),
        "wait": lambda: redis.zadd(keyspace.waiting(stream, group), {str(dice.random()): 1}),
        "die": lambda: redis.xadd(dead, {"id": "1-0"}),
    }
    rare = {
        "leave": lambda: redis.xgroup_destroy(stream, group),
        "trim": lambda: redis.xtrim(stream, maxlen=1),
        "begin anew": lambda: redis.delete(dice.choice((counters, keyspace.stats(stream), keyspace.durations(stream)))),
        "delete": lambda: redis.delete(stream),
        "take the place": lambda: [redis.delete(key := dice.choice((stream, counters, dead))), redis.set(key, "x")],
        "give it back": lambda: redis.delete(
            *(key for key in (stream, counters, dead) if redis.type(key) == b"string")
        ),
    }
    with suppress(ResponseError):  # what cannot be done now
        dice.choice([*deeds.values(), *deeds.values(), *deeds.values(), *rare.values()])()
    connections.executor().run(pending.flush())


@pytest.mark.product("seed")
@pytest.mark.parametrize("seed", range(4))
def test_a_collector_that_follows_has_what_another_one_finds_afresh(redis, seed):
    dice, pending, followed = random.Random(seed), StreamCounters(), Collector()
    before = {}

    for moment in range(1_800_000_000_000, 1_800_000_600_000, 5_000):
        for _ in range(dice.randint(0, 6)):
            go_on(redis, dice, pending)
        memory = moment % 60_000 == 0
        found = connections.executor().run(followed.collect(STREAMS, now_ms=moment, memory=memory))
        # It knows the groups from then on.
        following = connections.executor().run(followed.collect(STREAMS, now_ms=moment, memory=True))
        afresh = connections.executor().run(Collector().collect(STREAMS, now_ms=moment, memory=True))

        assert {name: without_durations(values) for name, values in following.values.items()} == afresh.values
        for name in STREAMS:
            touched = found.touched[name] | following.touched[name]
            now, was = following.values.get(name, {}), before.get(name, {})
            assert {key for key in now.keys() | was.keys() if now.get(key) != was.get(key)} <= touched
        before = {name: dict(values) for name, values in following.values.items()}


def without_durations(values):
    return {key: value for key, value in values.items() if key.number not in OF_TIME}
