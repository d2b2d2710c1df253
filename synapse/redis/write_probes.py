"""Commands that ask each node whether it takes writes, and write nothing.

`PING` is answered by a server that has no memory left, lacks the replicas that it must have, or is a replica itself. So
a key that is never there is set if it is there (`SET ... XX`): a server refuses that like any other write, before it
looks for the key (OOM, NOREPLICAS, READONLY, MISCONF). When it takes writes, nothing goes to its disk or replicas.
"""

from synapse.redis import keyspace
from synapse.redis.address import Place
from synapse.redis.cluster import slots
from synapse.redis.cluster.topology import topology_of
from synapse.redis.commands.base import Command
from synapse.redis.connection import Server

# So many keys are tried at the most, to find one of each node.
_MOST_TRIED = 20_000


def write_probes(server: Server) -> list[Command]:
    """Return a command for each node of the server that takes writes.

    Raises:
        BrokerDown: when the nodes of a cluster are not known, or none has a slot.
    """
    if not server.is_cluster():
        return [_probe(0)]
    topology = topology_of(server.locate())
    if topology.is_due:
        topology.look()
    missing = set(topology.places())
    found: dict[Place, Command] = {}
    for number in range(_MOST_TRIED):
        command = _probe(number)
        place = topology.place_of(slots.slot_of(command) or 0)
        found.setdefault(place, command)
        missing.discard(place)
        if not missing:
            break
    return list(found.values())


def _probe(number: int) -> Command:
    return Command(("SET", keyspace.probe(number), "", "XX"))
