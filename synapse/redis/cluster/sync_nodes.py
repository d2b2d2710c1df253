"""Connections of threads to the nodes of a cluster."""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

from synapse.redis.address import Place
from synapse.redis.cluster.routing import (
    Batch,
    Call,
    replies_of,
    words_of,
)
from synapse.redis.cluster.topology import topology_of
from synapse.redis.command import Command
from synapse.redis.connection import Server
from synapse.redis.errors import RedisUnavailable
from synapse.redis.sync_node import SyncNode


class SyncCluster:
    """Sends each command to the node that has its key. Safe to share between threads.

    `timeout` overrides the server's: seconds that an answer may take.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self._server = server
        self._timeout = timeout
        self._topology = topology_of(server.locate())
        self._lock = Lock()
        self._nodes: dict[Place, SyncNode] = {}

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands, a pipeline for each node, and return a raw reply, or a ReplyError, for each.

        Raises:
            RedisUnreachable: when no node that is needed can be reached; nothing was sent.
            ReplyLost: when a connection broke or timed out after sending.
        """
        if self._topology.is_due:
            self._topology.look()
        call = Call(commands, self._topology)
        batches = call.first()
        while batches:
            # All are asked before the first is waited for.
            begun = [_outcome(partial(self._begin, batch)) for batch in batches]
            answers = [one if isinstance(one, RedisUnavailable) else _outcome(one) for one in begun]
            for batch, answer in zip(batches, answers, strict=True):
                call.take(batch, answer)
            batches = call.again()
        return call.replies()

    def interrupt(self) -> None:
        """Interrupt the waits of other threads."""
        with self._lock:
            nodes = list(self._nodes.values())
        for node in nodes:
            node.interrupt()

    def close(self) -> None:
        """Close the idle connections. The cluster can be used again."""
        with self._lock:
            nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            node.close()

    def _begin(self, batch: Batch) -> Callable[[], list[Any]]:
        sent = words_of(batch)
        finish = self._node(batch.node).begin(sent)
        return lambda: replies_of(sent, finish())

    def _node(self, place: Place) -> SyncNode:
        with self._lock:
            if place not in self._nodes:
                self._nodes[place] = SyncNode(self._server.node(place), timeout=self._timeout)
            return self._nodes[place]


def _outcome(step: Callable[[], Any]) -> Any:
    """Return the result of a step, or the error that Redis cannot be used."""
    try:
        return step()
    except RedisUnavailable as failure:
        return failure
