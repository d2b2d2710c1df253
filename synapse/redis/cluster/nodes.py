"""Connections to the nodes of a cluster: pools for threads, and one pipelined connection for each node on an event
loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

from synapse.redis.address import NodeAddress
from synapse.redis.cluster.routing import Batch, Call, only_node, replies_of, words_of
from synapse.redis.cluster.topology import topology_of
from synapse.redis.command import Command
from synapse.redis.connection import Server
from synapse.redis.errors import RedisUnavailable, RedisUnreachable
from synapse.redis.node import MAX_PENDING, AsyncNode, SyncNode
from synapse.redis.pipeline import PipelinedConnection


class SyncCluster:
    """Sends each command to the node that has its key. Safe to share between threads.

    `timeout` is the time for a reply in seconds, in place of the server's `timeout`.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self._server = server
        self._timeout = timeout
        self._topology = topology_of(server.locate())
        self._lock = Lock()
        self._nodes: dict[NodeAddress, SyncNode] = {}

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands, a pipeline for each node, and return a raw reply, or a ReplyError, for each."""
        if self._topology.is_due:
            self._topology.refresh()
        call = Call(commands, self._topology)
        batches = call.first_batches()
        while batches:
            # All nodes get their commands before the first reply is read.
            begun = [_result_or_failure(partial(self._begin, batch)) for batch in batches]
            answers = [one if isinstance(one, RedisUnavailable) else _result_or_failure(one) for one in begun]
            for batch, answer in zip(batches, answers, strict=True):
                call.take_replies(batch, answer)
            batches = call.take_resends()
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
        finish = self._node_at(batch.node).begin(sent)
        return lambda: replies_of(sent, finish())

    def _node_at(self, place: NodeAddress) -> SyncNode:
        with self._lock:
            if place not in self._nodes:
                self._nodes[place] = SyncNode(self._server.node(place), timeout=self._timeout)
            return self._nodes[place]


def _result_or_failure(step: Callable[[], Any]) -> Any:
    """Return the result of a step, or its exception when Redis cannot be used."""
    try:
        return step()
    except RedisUnavailable as failure:
        return failure


class AsyncCluster:
    """Sends each command to the node that has its key."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING) -> None:
        self._server = server
        self._max_pending = max_pending
        self._topology = topology_of(server.locate())
        self._looking: asyncio.Task[None] | None = None
        self._nodes: dict[NodeAddress, AsyncNode] = {}

    def ready(self, commands: Sequence[Command]) -> PipelinedConnection | None:
        """Return the connection, if the commands can be sent on it at once and together."""
        topology = self._topology
        if not commands or not topology.is_known or topology.is_due:
            return None
        try:
            place = only_node(commands, topology)
        except RedisUnreachable:  # `ask` raises it
            return None
        node = None if place is None else self._nodes.get(place)
        return None if node is None else node.ready(commands)

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands, a pipeline for each node, and return a raw reply, or a ReplyError, for each."""
        if self._topology.is_due:
            # The topology is read in a thread, which asks one node after the other. A call waits for it only when no
            # topology is known yet.
            if self._looking is None:
                self._looking = asyncio.create_task(asyncio.to_thread(self._topology.refresh))
                self._looking.add_done_callback(self._on_topology_read)
            if not self._topology.is_known:
                await asyncio.shield(self._looking)
        call = Call(commands, self._topology)
        return await self._run(call, call.first_batches())

    async def finish(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        """Resend the commands that the node refused or redirected to the right nodes, and return all replies."""
        asked = next(((place, node) for place, node in self._nodes.items() if node.holds(connection)), None)
        if asked is None:
            return replies  # the connection was lost meanwhile: return the refusals
        place, node = asked
        call = Call(commands, self._topology)
        call.take_replies(call.as_batch_for(place), await node.finish(connection, commands, replies))
        return await self._run(call, call.take_resends())

    def close(self) -> None:
        """Close the connections. The cluster can be used again."""
        if self._looking is not None:
            self._looking.cancel()
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()

    async def _run(self, call: Call, batches: list[Batch]) -> list[Any]:
        while batches:
            answers = await asyncio.gather(*(self._send_batch(batch) for batch in batches))
            for batch, answer in zip(batches, answers, strict=True):
                call.take_replies(batch, answer)
            batches = call.take_resends()
        return call.replies()

    async def _send_batch(self, batch: Batch) -> list[Any] | RedisUnavailable:
        node = self._nodes.get(batch.node)
        if node is None:
            server = self._server.node(batch.node)
            node = self._nodes[batch.node] = AsyncNode(server, max_pending=self._max_pending)
        sent = words_of(batch)
        try:
            return replies_of(sent, await node.ask(sent))
        except RedisUnavailable as failure:
            return failure

    def _on_topology_read(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            # Retrieve the exception: a waiting call gets it, and otherwise the next call reads the topology again.
            task.exception()
