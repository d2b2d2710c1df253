"""The slots of a cluster's nodes, found with redis-py. Each process has one topology, so that a failover that one
executor notices is known to all.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Any

from redis.cluster import ClusterNode, NodesManager
from redis.connection import parse_url
from redis.exceptions import RedisClusterException, RedisError, SlotNotCoveredError

from synapse.redis import address
from synapse.redis.address import NodeAddress
from synapse.redis.errors import RedisUnreachable

# The time in seconds within which a node has to answer with its topology.
TIMEOUT = 0.4
# The least time between two readings in seconds, even when nodes send redirections meanwhile.
PAUSE = 0.2

logger = logging.getLogger(__name__)


class Topology:
    """The nodes of the cluster at a URL. The topology is read when it is first needed, and again when it is doubtful.

    Safe to share between threads.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address.parse_url(url)
        self._clock = clock
        self._looking = Lock()
        self._known: NodesManager | None = None
        self._moved: dict[int, NodeAddress] = {}
        self._in_doubt = True
        self._looked = -PAUSE
        self._why = ""

    @property
    def is_known(self) -> bool:
        """Whether the topology was ever read."""
        return self._known is not None

    @property
    def is_due(self) -> bool:
        """Whether the topology has to be read now, or another thread is reading it for the first time."""
        return self._should_ask() or (self._known is None and self._looking.locked())

    def mark_doubtful(self) -> None:
        """Have the topology read again, because a node did not answer."""
        self._in_doubt = True

    def move_slot(self, slot: int, place: NodeAddress) -> None:
        """Record that a slot has moved, and have the topology read again."""
        self._moved[slot] = place
        self._in_doubt = True

    def place_of(self, slot: int) -> NodeAddress:
        """Return the address of the node that has the slot.

        Raises:
            RedisUnreachable: when no node is known to have it.
        """
        if (moved := self._moved.get(slot)) is not None:
            return moved
        if self._known is None:
            raise self._unreachable_error()
        try:
            node = self._known.get_node_from_slot(slot)
        except SlotNotCoveredError as error:
            self._in_doubt = True
            raise RedisUnreachable(f"No node of the cluster has the slot {slot}.") from error
        return node.host, node.port

    def places(self) -> list[NodeAddress]:
        """Return the addresses of the nodes that accept writes.

        Raises:
            RedisUnreachable: when no such node is known.
        """
        found = [] if self._known is None else self._known.get_nodes_by_server_type("primary")
        if not found:
            raise self._unreachable_error()
        return sorted((node.host, node.port) for node in found)

    def refresh(self) -> None:
        """Read the topology from the nodes, unless another thread is reading it.

        Raises:
            RedisUnreachable: when no node answers, and no topology is known.
        """
        if self._known is not None and self._looking.locked():
            return
        with self._looking:
            if not self._should_ask():
                return
            self._looked = self._clock()
            try:
                self._read_slots()
            except (RedisError, RedisClusterException, OSError) as error:
                # Until the next reading, further callers get the error, too.
                self._why = _reason_of(error)
                if self._known is None:
                    raise self._unreachable_error() from error
                logger.debug("no node returned the layout of the cluster: %s", error)

    def _should_ask(self) -> bool:
        return self._in_doubt and self._clock() - self._looked >= PAUSE

    def _unreachable_error(self) -> RedisUnreachable:
        return RedisUnreachable(f"The cluster cannot be reached: {self._why or 'nobody has asked for it yet'}.")

    def _read_slots(self) -> None:
        self._in_doubt = False
        self._moved = {}
        try:
            if self._known is None:
                nodes = [ClusterNode(host, port) for host, port in self.address.places]
                self._known = NodesManager(nodes, from_url=True, dynamic_startup_nodes=False, **self._options())
            else:
                # The nodes of the URL first: the others may have changed their addresses.
                others = [(node.host, node.port) for node in list(self._known.nodes_cache.values())]
                self._known.initialize(additional_startup_nodes_info=others)
        except BaseException:
            self._in_doubt = True
            raise

    def _options(self) -> dict[str, Any]:
        options = parse_url(self.address.url_of(self.address.places[0]))
        del options["host"], options["port"]
        # No `db`: a cluster has one database, and clients do not select it.
        options.pop("db", None)
        return {
            **options,
            "protocol": 2,
            "socket_connect_timeout": TIMEOUT,
            "socket_timeout": TIMEOUT,
            "driver_info": None,
        }


@lru_cache(maxsize=16)
def topology_of(url: str) -> Topology:
    """Return this process's topology of the cluster at a URL."""
    return Topology(url)


def _reason_of(error: Exception) -> str:
    """Return the reason of an error, without redis-py's advice."""
    if isinstance(error, RedisClusterException) and error.__cause__ is not None:
        return str(error.__cause__).rstrip(". ")
    return str(error).rstrip(". ")
