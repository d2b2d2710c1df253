"""Three nodes on loopback that make a cluster, and the executor of a process that speaks to all of them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from redis.cluster import ClusterNode, RedisCluster

from streams.broker import Command, Server, SyncExecutor
from tests.patience import eventually
from tests.valkey import PASSWORD, Valkey, free_port, running_valkey

SLOTS = 16_384
COUNT = 3


@contextmanager
def running_cluster(*options: str) -> Iterator[list[Valkey]]:
    """Run three nodes with these options, each with a third of the slots, for as long as the block lasts."""
    with ExitStack() as stack:
        buses = [free_port() for _ in range(COUNT)]
        nodes = [
            stack.enter_context(running_valkey("--cluster-enabled", "yes", "--cluster-port", str(bus), *options))
            for bus in buses
        ]
        clients = [stack.enter_context(node.client()) for node in nodes]
        for nth, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", nth * SLOTS // COUNT, (nth + 1) * SLOTS // COUNT - 1)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        eventually(lambda: all(_is_whole(client) for client in clients), within=60)
        yield nodes


def _is_whole(client: Any) -> bool:
    said = client.execute_command("CLUSTER INFO")
    return said["cluster_state"] == "ok" and said["cluster_known_nodes"] == str(COUNT)


class ClusterExecutor:
    """Sends each command to the node that has its keys, as redis-py finds it out; refuses one that spans slots."""

    def __init__(self, nodes: Sequence[Valkey]) -> None:
        startup = [ClusterNode("127.0.0.1", node.port) for node in nodes]
        self._cluster = RedisCluster(startup_nodes=startup, password=PASSWORD)
        self._nodes = {node.port: SyncExecutor(Server(locate=lambda node=node: node.url, timeout=5)) for node in nodes}

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        return [reply for command in commands for reply in self._node_of(command).execute([command])]

    def close(self) -> None:
        self._cluster.close()
        for executor in self._nodes.values():
            executor.close()

    def _node_of(self, command: Command) -> SyncExecutor:
        if command.words[0] == "TIME":
            return next(iter(self._nodes.values()))
        slot = self._cluster.determine_slot(*command.words)
        return self._nodes[self._cluster.nodes_manager.get_node_from_slot(slot).port]
