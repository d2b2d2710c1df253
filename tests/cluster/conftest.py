"""A cluster of three nodes in place of the single server; scripts may touch only the keys that they declare."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis as redis_py
from redis.crc import key_slot

from synapse.redis import Server, SyncExecutor
from tests.bridges.cast import STREAM
from tests.bridges.conftest import send
from tests.cluster.nodes import COUNT, SLOTS, running_cluster, url_of
from tests.cluster.watching import Called, Watch
from tests.valkey import Valkey

__all__ = ["send"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[list[Valkey]]:
    with running_cluster() as nodes:
        yield nodes


@pytest.fixture(scope="session")
def executor_of_session(cluster: list[Valkey]) -> Iterator[SyncExecutor]:
    executor = SyncExecutor(Server(locate=lambda: url_of(cluster), timeout=60))
    yield executor
    executor.close()


@pytest.fixture
def executor(executor_of_session: SyncExecutor, redis: Any) -> SyncExecutor:
    """The executor of a process that uses the cluster."""
    return executor_of_session


@pytest.fixture(scope="session")
def clients(cluster: list[Valkey]) -> Iterator[list[redis_py.Redis]]:
    """A plain client of each node."""
    with ExitStack() as stack:
        yield [stack.enter_context(node.client()) for node in cluster]


@pytest.fixture(scope="session")
def watches(clients: list[redis_py.Redis]) -> Iterator[list[Watch]]:
    """Watches of the commands of each node."""
    watches = [Watch(client) for client in clients]
    yield watches
    for watch in watches:
        watch.close()


@pytest.fixture
def seen(watches: list[Watch]) -> Callable[[], list[Called]]:
    """Return the calls of scripts that nobody has asked for yet."""
    return lambda: [call for watch in watches for call in watch.calls()]


@pytest.fixture
def redis(
    cluster: list[Valkey], clients: list[redis_py.Redis], seen: Callable[[], list[Called]]
) -> Iterator[redis_py.Redis]:
    """The node that has the stream, for arranging and looking: it refuses every key of another node.

    After the test, all that scripts touched is compared with what they declared, and the other nodes are empty.
    """
    home = clients[cluster.index(node_of(cluster, STREAM))]
    home.flushall()
    seen()
    yield home
    check(seen())
    assert [other.dbsize() for other in clients if other is not home] == [0] * (COUNT - 1)


def check(calls: list[Called]) -> None:
    """Check that calls of scripts touch only the keys that they declared."""
    for call in calls:
        assert not call.undeclared, f"{call.script} touched what it did not declare: {call.undeclared}"
        assert len(call.slots) == 1, f"{call.script} crossed slots"


def node_of(cluster: list[Valkey], key: str) -> Valkey:
    """Return the node that has a key."""
    return next(node for nth, node in enumerate(cluster) if key_slot(key.encode()) < (nth + 1) * SLOTS // COUNT)
