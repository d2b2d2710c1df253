"""Three nodes on loopback that make a cluster, one of them with a replica where a test asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import redis
from redis.crc import key_slot

from tests.cluster.nodes import COUNT, SLOTS, running_cluster
from tests.patience import eventually
from tests.ports import free_port
from tests.valkey import PASSWORD, Tls, Valkey, running_valkey

# Milliseconds after which the others hold a node for dead: while none is, a busy machine may be late with its answers.
_DEAD_AFTER, _LATE_AFTER = 1000, 600_000
_OPTIONS = ("--cluster-node-timeout", str(_LATE_AFTER), "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")


@dataclass
class Clustered:
    """The nodes that had slots at the beginning, in the order of their slots."""

    nodes: list[Valkey]
    # Two that take each other's place, the primary first, where there are such.
    pair: list[Valkey] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The URL for Synapse. The first node that it names is not there, and it does not name them all."""
        places = f"127.0.0.1:1,127.0.0.1:{self.nodes[1].port},127.0.0.1:{self.nodes[2].port}"
        if tls := self.nodes[0].tls:
            return f"rediss+cluster://:{PASSWORD}@{places}?{urlencode(tls.of_client)}"
        return f"redis+cluster://:{PASSWORD}@{places}"

    def clients(self) -> list[redis.Redis]:
        """Return a plain client of each node that has slots."""
        return [node.client() for node in self.nodes]

    def home_of(self, key: str) -> Valkey:
        """Return the node that has a key at the beginning."""
        return next(node for nth, node in enumerate(self.nodes) if key_slot(key.encode()) < (nth + 1) * SLOTS // COUNT)

    def kill_the_primary(self) -> Valkey:
        """End the primary of the pair as kill -9 does, and wait until the other one has its slots. Return the dead."""
        dead, other = self.pair
        dead.kill()
        self._give_up_after(_DEAD_AFTER, but=dead)
        with other.client() as client:
            eventually(lambda: client.info("replication")["role"] == "master")
        self._give_up_after(_LATE_AFTER, but=dead)
        self.pair.reverse()
        return dead

    def _give_up_after(self, milliseconds: int, *, but: Valkey) -> None:
        for node in {id(node): node for node in (*self.nodes, *self.pair) if node is not but}.values():
            with node.client() as client:
                client.config_set("cluster-node-timeout", milliseconds)

    def start_as_replica(self, dead: Valkey) -> None:
        """Start a node again: it learns from the others that its slots are gone, and follows their new owner."""
        dead.start()
        with self.pair[0].client() as client:
            eventually(lambda: client.info("replication")["connected_slaves"] == 1)


@contextmanager
def clustered(*options: str, tls: Tls | None = None) -> Iterator[Clustered]:
    """Run three nodes with these options for as long as the block lasts."""
    with running_cluster(*_OPTIONS, *options, tls=tls) as nodes:
        yield Clustered(nodes)


@contextmanager
def clustered_with_a_replica(of: str) -> Iterator[Clustered]:
    """Run three nodes, and a replica of the one that has a key, for as long as the block lasts."""
    bus = free_port()
    with (
        clustered() as cluster,
        running_valkey("--cluster-enabled", "yes", "--cluster-port", str(bus), *_OPTIONS) as replica,
    ):
        home = cluster.home_of(of)
        with home.client() as client, replica.client() as follower:
            client.execute_command("CLUSTER MEET", "127.0.0.1", replica.port, bus)
            name = client.execute_command("CLUSTER MYID").decode()
            eventually(lambda: follower.execute_command("CLUSTER REPLICATE", name), despite=redis.ResponseError)
            eventually(lambda: client.info("replication")["connected_slaves"] == 1)
            # A replica that is promoted before it has heard which slots its primary has would take none of them.
            eventually(lambda: follower.execute_command("CLUSTER INFO")["cluster_slots_assigned"] == str(SLOTS))
            for node in cluster.nodes:
                with node.client() as other:
                    eventually(lambda other=other: len(other.execute_command("CLUSTER NODES")) == COUNT + 1)
        cluster.pair = [home, replica]
        yield cluster


def _knows_all_slots(node: redis.Redis) -> bool:
    return bool(node.execute_command("CLUSTER INFO")["cluster_slots_assigned"] == str(SLOTS))
