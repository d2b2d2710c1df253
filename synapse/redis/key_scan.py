"""Every key that a server, or each node of a cluster, holds."""

from collections.abc import Iterator
from contextlib import closing

from synapse.redis.cluster.topology import topology_of
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import value
from synapse.redis.connection import Server
from synapse.redis.sync_executor import SyncExecutor

_AT_ONCE = 1000


def keys_of(server: Server, *, match: str) -> Iterator[str]:
    """Give the names of the keys that match a pattern, in no order; one that is made meanwhile may be missing.

    Raises:
        Unavailable: when Redis cannot be used.
    """
    for node in _nodes_of(server):
        with closing(SyncExecutor(node)) as executor:
            cursor = b"0"
            while True:
                cursor, names = value(executor.execute([stream_commands.scan(cursor, count=_AT_ONCE, match=match)])[0])
                yield from names
                if cursor == b"0":
                    break


def _nodes_of(server: Server) -> list[Server]:
    if not server.is_cluster():
        return [server]
    topology = topology_of(server.locate())
    if topology.is_due:
        topology.look()
    return [server.node(place) for place in topology.places()]
