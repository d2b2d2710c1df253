"""Slots move from node to node: a command that a node refused is sent to the slot's new node."""

import asyncio
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest
from redis.crc import key_slot

from synapse.redis import (
    AsyncExecutor,
    ReplyError,
    Server,
    SyncExecutor,
)
from synapse.redis.cluster.routing import MOST_HOPS, Call
from synapse.redis.cluster.topology import Topology
from synapse.redis.commands import publishing as publish_commands
from synapse.redis.commands import server as server_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import RedisUnreachable
from tests.scaling.cluster import clustered

ONCE = {"who": "shop", "fingerprint": "f", "window_ms": 60_000}


class Waiting:
    """The asynchronous executor, used like the other one."""

    def __init__(self, server):
        self._executor = AsyncExecutor(server)
        self._runner = asyncio.Runner()

    def execute(self, asked):
        return self._runner.run(self._executor.execute(asked))

    def begin(self, asked):
        """Ask as the HTTP protocol does: without a task, as long as all goes well."""

        def conversation():
            return (yield asked)

        async def begun():
            future = asyncio.get_running_loop().create_future()
            self._executor.begin(conversation(), future.set_result, future.set_exception)
            return await future

        return self._runner.run(begun())

    def close(self):
        async def end():
            self._executor.close()

        self._runner.run(end())
        self._runner.close()


@pytest.fixture(scope="module")
def place():
    with clustered() as running:
        yield running


@pytest.fixture(params=["in a thread", "on the event loop", "in callbacks"])
def execute(request, place):
    """Send commands, in each of the three ways. All of them know the cluster as it was before a slot moves."""
    for client in place.clients():
        with client:
            client.flushall()
    server = Server(locate=lambda: place.url, timeout=60)
    executor = SyncExecutor(server) if request.param == "in a thread" else Waiting(server)
    executor.execute([stream_commands.xlen(name) for name in ("orders", "parcels", "payments")])
    yield executor.begin if request.param == "in callbacks" else executor.execute
    executor.close()


@contextmanager
def moving(place, key):
    """Let the slot of a key be on its way from its node to another, and there after the block. Gives both nodes."""
    slot = key_slot(key.encode())
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in place.clients()]
        owner = next(client for client in clients if slot in _slots_of(client))
        taker = next(client for client in clients if client is not owner)
        taker.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", _name_of(owner))
        owner.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", _name_of(taker))
        yield owner, taker
        for client in (taker, owner, *clients):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", _name_of(taker))


def _name_of(client):
    return client.execute_command("CLUSTER MYID").decode()


def _slots_of(client):
    """Return the slots of a node, as it says itself."""
    name = _name_of(client)
    rows = client.execute_command("CLUSTER SLOTS")
    return {slot for first, last, primary, *_ in rows if primary[2].decode() == name for slot in range(first, last + 1)}


def add(stream, number=1):
    return stream_commands.xadd(stream, [b"n", b"%d" % number])


def once(stream, key):
    return publish_commands.publish_once(stream, [b"n", b"1"], key=key, **ONCE)


def test_commands_for_a_moved_slot_go_to_its_new_node(place, execute):
    with moving(place, "orders"):
        pass

    first, length, second, script, other = execute(
        [add("orders"), stream_commands.xlen("parcels"), add("orders"), once("orders", "k"), add("parcels")]
    )

    assert (length, script.outcome) == (0, "stored")
    entries, others = execute(
        [stream_commands.xrange("orders", "-", "+", 9), stream_commands.xrange("parcels", "-", "+", 9)]
    )
    assert [entry.id for entry in entries] == [first, second, script.id]
    assert [entry.id for entry in others] == [other]


def test_commands_for_a_moving_slot_go_to_the_node_it_moves_to(place, execute):
    with moving(place, "orders"):
        first, other, second = execute([add("orders"), add("parcels"), add("orders")])

    entries, others = execute(
        [stream_commands.xrange("orders", "-", "+", 9), stream_commands.xrange("parcels", "-", "+", 9)]
    )
    assert [entry.id for entry in entries] == [first, second]
    assert [entry.id for entry in others] == [other]


def test_a_script_whose_keys_are_half_moved_is_refused_and_nothing_is_stored(place, execute):
    with moving(place, "orders"):
        (refused,) = execute([once("orders", "k")])

    (again,) = execute([once("orders", "k")])
    assert refused.code == "TRYAGAIN"
    assert again.outcome == "stored"
    assert execute([stream_commands.xlen("orders")]) == [1]


@pytest.mark.parametrize("how", ["moved", "moves"])
def test_a_transaction_goes_along_as_a_whole(place, execute, how):
    appends = [add("orders", number) for number in range(3)]
    together = [stream_commands.multi(), *appends, stream_commands.execute(appends)]

    if how == "moved":
        with moving(place, "orders"):
            pass
        *_, ids = execute(together)
    else:
        with moving(place, "orders"):
            *_, ids = execute(together)

    (entries,) = execute([stream_commands.xrange("orders", "-", "+", 9)])
    assert [entry.id for entry in entries] == ids


def test_a_barrier_waits_where_the_write_went(place, execute):
    with moving(place, "orders"):
        pass

    id_, count = execute([add("orders"), server_commands.wait(1, within_ms=50)])

    assert isinstance(id_, str)
    assert count == 0


def test_a_barrier_that_held_less_on_one_of_two_nodes_counts():
    topology = Topology("redis+cluster://127.0.0.1:1")
    call = Call([add("orders"), add("orders"), server_commands.wait(1, within_ms=50)], topology)
    moved = ReplyError(f"MOVED {key_slot(b'orders')} 127.0.0.1:2")

    call.take_replies(call.as_batch_for(("127.0.0.1", 1)), [b"1-1", moved, 0])
    (rest,) = call.take_resends()
    call.take_replies(rest, [b"1-2", 1])

    assert (rest.node, rest.places) == (("127.0.0.1", 2), (1, 2))
    assert call.replies() == [b"1-1", b"1-2", 0]


def test_nodes_that_send_a_command_in_a_circle_are_given_up_on():
    topology = Topology("redis+cluster://127.0.0.1:1")
    call = Call([add("orders")], topology)
    moved = ReplyError(f"MOVED {key_slot(b'orders')} :2")
    batches = [call.as_batch_for(("127.0.0.1", 1))]

    for _ in range(MOST_HOPS + 1):
        call.take_replies(batches[0], [moved])
        batches = call.take_resends() or batches

    assert call.take_resends() == []
    assert call.replies() == [moved]


@pytest.fixture
def looking(monkeypatch):
    """Let a thread look for a cluster for the first time until `answer` is set, and note each time it is asked."""
    topology, asking, answer, asked = Topology("redis+cluster://127.0.0.1:1"), Event(), Event(), []

    def ask():
        asked.append(topology)
        topology._in_doubt = False
        asking.set()
        assert answer.wait(60)
        topology._known = "nodes"

    monkeypatch.setattr(topology, "_read_slots", ask)
    thread = Thread(target=topology.refresh)
    thread.start()
    assert asking.wait(60)
    yield topology, answer, asked
    answer.set()
    thread.join()


def test_a_thread_that_comes_while_a_cluster_is_looked_for_the_first_time_waits_for_it(looking):
    topology, answer, asked = looking

    assert topology.is_due
    other = Thread(target=topology.refresh)
    other.start()
    answer.set()
    other.join()

    assert topology.is_known
    assert not topology.is_due
    assert len(asked) == 1


def test_a_cluster_that_did_not_answer_the_first_look_is_not_asked_again_at_once():
    topology = Topology("redis+cluster://127.0.0.1:1")

    with pytest.raises(RedisUnreachable, match="cannot be reached: "):
        topology.refresh()
    with pytest.raises(RedisUnreachable, match="cannot be reached: "):
        topology.places()

    assert not topology.is_due
