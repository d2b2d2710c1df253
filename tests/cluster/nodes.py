"""Three nodes on loopback that make a cluster."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.patience import eventually
from tests.ports import free_port
from tests.valkey import PASSWORD, Tls, Valkey, running_valkey

SLOTS = 16_384
COUNT = 3


@contextmanager
def running_cluster(*options: str, tls: Tls | None = None) -> Iterator[list[Valkey]]:
    """Run three nodes with these options, each with a third of the slots, for as long as the block lasts."""
    options = ("--cluster-enabled", "yes", *(("--tls-cluster", "yes") if tls else ()), *options)
    with ExitStack() as stack:
        buses = [free_port() for _ in range(COUNT)]
        nodes = [stack.enter_context(running_valkey(*options, "--cluster-port", str(bus), tls=tls)) for bus in buses]
        clients = [stack.enter_context(node.client()) for node in nodes]
        for nth, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTSRANGE", nth * SLOTS // COUNT, (nth + 1) * SLOTS // COUNT - 1)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        eventually(lambda: all(_is_whole(client) for client in clients))
        yield nodes


def _is_whole(client: Any) -> bool:
    said = client.execute_command("CLUSTER INFO")
    return said["cluster_state"] == "ok" and said["cluster_known_nodes"] == str(COUNT)


def url_of(nodes: Sequence[Valkey]) -> str:
    """Return the URL of the cluster."""
    return f"redis+cluster://:{PASSWORD}@{','.join(f'127.0.0.1:{node.port}' for node in nodes)}"
