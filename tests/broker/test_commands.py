"""Commands are values: any server that speaks the protocol understands them, and their replies are parsed the same."""

import pytest

from synapse.redis.commands import streams as stream_commands


@pytest.fixture
def ask():
    """Ask a server in memory, which answers as the real one does on the wire."""
    # It imports numpy: only where it is used.
    import fakeredis

    server = fakeredis.FakeRedis(protocol=2)
    server.response_callbacks.clear()
    yield lambda command: command.parse_reply(server.execute_command(*command.words))
    server.close()


def test_entries_are_read_both_ways(ask):
    ids = [ask(stream_commands.xadd("s", [b"n", b"%d" % number])) for number in (1, 2, 3)]

    assert [entry.id for entry in ask(stream_commands.xrange("s", "-", "+", 2))] == ids[:2]
    assert [entry.parts for entry in ask(stream_commands.xrevrange("s", "+", "-", 2))] == [[b"n", b"3"], [b"n", b"2"]]


def test_a_stream_and_its_groups_are_described(ask):
    ask(stream_commands.xgroup_create("s", "g", "0"))
    entry_id = ask(stream_commands.xadd("s", [b"n", b"1"]))

    (read,) = ask(stream_commands.xreadgroup("s", "g", "c", count=10, block_ms=0))
    (group,) = ask(stream_commands.xinfo_groups("s"))
    (consumer,) = ask(stream_commands.xinfo_consumers("s", "g"))

    assert (read.id, read.parts) == (entry_id, [b"n", b"1"])
    assert (group.name, group.consumers, group.pending, group.last_delivered_id) == ("g", 1, 1, entry_id)
    assert (consumer.name, consumer.pending) == ("c", 1)


def test_an_empty_stream_yields_no_entries(ask):
    ask(stream_commands.xgroup_create("s", "g", "0"))

    assert ask(stream_commands.xrange("s", "-", "+", 10)) == []
    assert ask(stream_commands.xreadgroup("s", "g", "c", count=10, block_ms=0)) == []
    assert ask(stream_commands.xinfo_groups("s"))[0].last_delivered_id == "0-0"


def test_counters_are_read_as_a_dictionary(ask):
    ask(stream_commands.hincrby("h", "published", 2))
    ask(stream_commands.hincrby("h", "published", 3))

    assert ask(stream_commands.hgetall("h")) == {"published": b"5"}
