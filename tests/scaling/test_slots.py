"""A command goes to the node that has its key: redis-py, which asks the server where a command's keys are, agrees."""

import pytest
from redis.cluster import RedisCluster
from redis.crc import key_slot

from streams.broker import (
    Command,
    commands,
    dead_letters,
    delivery,
    groups,
    keys,
    participants,
    permissions,
    publishing,
    rates,
    reports,
    retention,
    slots,
    tickets,
)
from streams.broker.delivery import Failure
from streams.broker.retention import Limits
from tests.bridges.cast import PLACE, STREAM
from tests.scaling.cluster import clustered
from tests.valkey import PASSWORD

FAILURE = Failure(id="1-1", token="t", error="no", took_ms=1, delay_ms=0, fatal=True)
OF_A_STREAM = [
    commands.xadd(STREAM, [b"n", b"1"]),
    commands.xlen(STREAM),
    commands.xrange(STREAM, "-", "+", 1),
    commands.xrevrange(STREAM, "+", "-", 1),
    commands.xinfo_stream(STREAM),
    commands.xinfo_groups(STREAM),
    commands.xinfo_consumers(*PLACE),
    commands.xgroup_create(*PLACE, "0"),
    commands.xgroup_destroy(*PLACE),
    commands.xreadgroup(*PLACE, "STREAMS", count=1, block_ms=10),
    commands.xread(STREAM, "0-0", count=1, block_ms=10),
    commands.key_type(STREAM),
    commands.hgetall(keys.stats(STREAM)),
    commands.hset(keys.watchers(STREAM), "f", "v"),
    commands.expire(keys.reports(*PLACE), 1),
    commands.hincrby(keys.counters(*PLACE), "f", 1),
    commands.zcard(keys.waiting(*PLACE)),
    commands.lowest_score(keys.waiting(*PLACE)),
    delivery.join(*PLACE, "me", start="0", mode="any", run="r"),
    delivery.read(*PLACE, "me", limit=9, order="key", key="customer"),
    delivery.lease(*PLACE, "me", limit=9, lease_ms=60_000),
    delivery.fail(*PLACE, [FAILURE], most_attempts=3),
    dead_letters.letters(*PLACE, count=9),
    groups.move(*PLACE, "0"),
    reports.report(*PLACE, "me", b"I run", keep_ms=1000),
    participants.readers(STREAM),
    publishing.publish_once(STREAM, [b"n", b"1"], who="w", key="k", fingerprint="f", window_ms=1),
    retention.trim(STREAM, Limits(max_length=1, pin_for_ms=0), room=1),
]
ON_THEIR_OWN = [
    retention.hold_janitor_lease("me", ttl_ms=1),
    reports.beat("host:1", keep_ms=1000),
    reports.beats(),
    participants.note_publishers({(STREAM, "shop"): 1}),
    participants.publishers(),
    participants.forget_publishers([b"orders shop"]),
    rates.take_token("key", "me", count=1, seconds=1),
    tickets.keep("digest", b"v", seconds=1),
    tickets.take("digest"),
]


@pytest.fixture(scope="module")
def cluster():
    with (
        clustered() as place,
        RedisCluster(host="127.0.0.1", port=place.nodes[0].port, password=PASSWORD) as client,
    ):
        yield client


def name_of(command: Command) -> str:
    return " ".join(map(str, command.words[:2]))[:40]


@pytest.mark.parametrize("command", OF_A_STREAM, ids=name_of)
def test_what_belongs_to_a_stream_lies_where_the_stream_lies(cluster, command):
    assert slots.slot_of(command) == cluster.determine_slot(*command.words) == key_slot(STREAM.encode())
    if command.otherwise:
        assert slots.slot_of(command.otherwise) == slots.slot_of(command)


@pytest.mark.parametrize("command", ON_THEIR_OWN, ids=name_of)
def test_what_belongs_to_no_stream_lies_by_its_own_name(cluster, command):
    assert slots.slot_of(command) == cluster.determine_slot(*command.words)


@pytest.mark.parametrize("command", [commands.ping(), commands.info(), commands.multi()], ids=name_of)
def test_what_speaks_of_no_key_has_no_slot(command):
    assert slots.slot_of(command) is None


def test_what_one_node_cannot_answer_alone_is_not_sent():
    with pytest.raises(ValueError, match="SCAN"):
        slots.slot_of(commands.scan(b"0", count=1))


def test_every_command_without_a_key_is_known_to_have_none(cluster):
    """A new command without a key must be told to `slots`, else its second word is taken for a key."""
    told = cluster.command(target_nodes=cluster.get_random_node())
    keyless = {name for name in permissions.COMMANDS if name in told and told[name]["first_key_pos"] == 0}

    assert {name.upper() for name in keyless} - {"SCAN", "EVAL", "EVALSHA", "XREAD", "XREADGROUP"} <= slots.KEYLESS
