"""A command goes to the node that has its key: redis-py, which asks the server where a command's keys are, agrees."""

import pytest
from redis.cluster import RedisCluster
from redis.crc import key_slot

from synapse.redis import acl, keyspace
from synapse.redis.cluster import routing
from synapse.redis.commands import (
    dead_letters as dead_letter_commands,
)
from synapse.redis.commands import (
    delivery as delivery_commands,
)
from synapse.redis.commands import (
    groups as group_commands,
)
from synapse.redis.commands import participants, shared_values
from synapse.redis.commands import (
    publishing as publish_commands,
)
from synapse.redis.commands import server as server_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.delivery import Failure
from synapse.redis.commands.streams import Limits
from synapse.redis.lease import Lease
from tests.bridges.cast import PLACE, STREAM
from tests.scaling.cluster import clustered
from tests.tables import for_each
from tests.valkey import PASSWORD

FAILURE = Failure(id="1-1", token="t", error="no", took_ms=1, delay_ms=0, fatal=True)
OF_A_STREAM = [
    stream_commands.xadd(STREAM, [b"n", b"1"]),
    stream_commands.xlen(STREAM),
    stream_commands.xrange(STREAM, "-", "+", 1),
    stream_commands.xrevrange(STREAM, "+", "-", 1),
    stream_commands.xinfo_stream(STREAM),
    stream_commands.xinfo_groups(STREAM),
    stream_commands.xinfo_consumers(*PLACE),
    stream_commands.xgroup_create(*PLACE, "0"),
    stream_commands.xgroup_destroy(*PLACE),
    stream_commands.xreadgroup(*PLACE, "STREAMS", count=1, block_ms=10),
    stream_commands.xread(STREAM, "0-0", count=1, block_ms=10),
    stream_commands.key_type(STREAM),
    stream_commands.hgetall(keyspace.stats(STREAM)),
    stream_commands.hset(keyspace.watchers(STREAM), "f", "v"),
    stream_commands.expire(keyspace.reports(*PLACE), 1),
    stream_commands.hincrby(keyspace.counters(*PLACE), "f", 1),
    stream_commands.zcard(keyspace.waiting(*PLACE)),
    stream_commands.lowest_score(keyspace.waiting(*PLACE)),
    delivery_commands.join(*PLACE, "me", start="0", mode="any", run="r"),
    delivery_commands.read(*PLACE, "me", limit=9, order="key", key="customer"),
    delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=60_000),
    delivery_commands.fail(*PLACE, [FAILURE]),
    dead_letter_commands.letters(*PLACE, count=9),
    group_commands.move(*PLACE, "0"),
    participants.report(*PLACE, "me", b"I run", keep_ms=1000),
    participants.readers_of(STREAM),
    publish_commands.publish_once(STREAM, [b"n", b"1"], who="w", key="k", fingerprint="f", window_ms=1),
    stream_commands.trim(STREAM, Limits(max_length=1, pin_for_ms=0), room=1),
]
ON_THEIR_OWN = [
    Lease(keyspace.JANITOR_LEASE, ttl_ms=1).hold(),
    participants.store_heartbeat("host:1", keep_ms=1000),
    participants.read_heartbeats(),
    participants.note_publishers({(STREAM, "shop"): 1}),
    participants.publishers(),
    participants.forget_publishers([b"orders shop"]),
    shared_values.take_token("key", "me", count=1, seconds=1),
    shared_values.keep_ticket("digest", b"v", seconds=1),
    shared_values.take_ticket("digest"),
]


@pytest.fixture(scope="module")
def cluster():
    with (
        clustered() as place,
        RedisCluster(host="127.0.0.1", port=place.nodes[0].port, password=PASSWORD) as client,
    ):
        yield client


@for_each("command", OF_A_STREAM)
def test_commands_of_a_stream_go_to_the_slot_of_the_stream(cluster, command):
    assert routing.slot_of(command) == cluster.determine_slot(*command.words) == key_slot(STREAM.encode())
    if command.otherwise:
        assert routing.slot_of(command.otherwise) == routing.slot_of(command)


@for_each("command", ON_THEIR_OWN)
def test_commands_of_no_stream_go_to_the_slot_of_their_own_key(cluster, command):
    assert routing.slot_of(command) == cluster.determine_slot(*command.words)


@for_each("command", [stream_commands.ping(), server_commands.info(), stream_commands.multi()])
def test_commands_without_a_key_have_no_slot(command):
    assert routing.slot_of(command) is None


def test_commands_that_a_single_node_cannot_answer_are_refused():
    with pytest.raises(ValueError, match="SCAN"):
        routing.slot_of(stream_commands.scan(b"0", count=1))


def test_every_command_without_a_key_is_known_to_have_none(cluster):
    """A new command without a key must be told to `slots`, else its second word is taken for a key."""
    told = cluster.command(target_nodes=cluster.get_random_node())
    keyless = {name for name in acl.COMMANDS if name in told and told[name]["first_key_pos"] == 0}

    assert {name.upper() for name in keyless} - {"SCAN", "EVAL", "EVALSHA", "XREAD", "XREADGROUP"} <= routing.KEYLESS
