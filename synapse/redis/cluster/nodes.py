"""Connections to the nodes of a cluster: those of threads, and of an event loop one pipelined connection for each."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

from synapse.redis.address import Place
from synapse.redis.cluster.routing import Batch, Call, only_node, replies_of, words_of
from synapse.redis.cluster.topology import topology_of
from synapse.redis.command import Command
from synapse.redis.connection import Server
from synapse.redis.errors import RedisUnavailable, RedisUnreachable
from synapse.redis.node import MAX_PENDING, AsyncNode, SyncNode
from synapse.redis.pipeline import PipelinedConnection


class SyncCluster:
    """Sends each command to the node that has its key. Safe to share between threads.

    `timeout`: seconds that an answer may take, in place of the server's.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self._server = server
        self._timeout = timeout
        self._topology = topology_of(server.locate())
        self._lock = Lock()
        self._nodes: dict[Place, SyncNode] = {}

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands, a pipeline for each node, and return a raw reply, or a ReplyError, for each."""
        if self._topology.is_due:
            self._topology.look()
        call = Call(commands, self._topology)
        batches = call.first()
        while batches:
            # All nodes get their commands before the first reply is awaited.
            begun = [_outcome(partial(self._begin, batch)) for batch in batches]
            answers = [one if isinstance(one, RedisUnavailable) else _outcome(one) for one in begun]
            for batch, answer in zip(batches, answers, strict=True):
                call.take(batch, answer)
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


class AsyncCluster:
    """Sends each command to the node that has its key."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING) -> None:
        self._server = server
        self._max_pending = max_pending
        self._topology = topology_of(server.locate())
        self._looking: asyncio.Task[None] | None = None
        self._nodes: dict[Place, AsyncNode] = {}

    def ready(self, commands: Sequence[Command]) -> PipelinedConnection | None:
        """Return the connection, if the commands can be sent on it at once and together."""
        topology = self._topology
        if not commands or not topology.is_known or topology.is_due:
            return None
        try:
            place = only_node(commands, topology)
        except RedisUnreachable:  # said by `ask`
            return None
        node = None if place is None else self._nodes.get(place)
        return None if node is None else node.ready(commands)

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands, a pipeline for each node, and return a raw reply, or a ReplyError, for each."""
        if self._topology.is_due:
            # In a thread, which asks one node after the other. A call waits for it only when no topology is known.
            if self._looking is None:
                self._looking = asyncio.create_task(asyncio.to_thread(self._topology.look))
                self._looking.add_done_callback(self._looked)
            if not self._topology.is_known:
                await asyncio.shield(self._looking)
        call = Call(commands, self._topology)
        return await self._hold(call, call.first())

    async def finish(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        """Resend commands that the node did not serve to the right nodes, and return the replies."""
        asked = next(((place, node) for place, node in self._nodes.items() if node.holds(connection)), None)
        if asked is None:
            return replies  # it was lost meanwhile: its refusals stay refusals
        place, node = asked
        call = Call(commands, self._topology)
        call.take(call.whole(place), await node.finish(connection, commands, replies))
        return await self._hold(call, call.take_resends())

    def close(self) -> None:
        """Close the connections. The cluster can be used again."""
        if self._looking is not None:
            self._looking.cancel()
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()

    async def _hold(self, call: Call, batches: list[Batch]) -> list[Any]:
        while batches:
            answers = await asyncio.gather(*(self._answer(batch) for batch in batches))
            for batch, answer in zip(batches, answers, strict=True):
                call.take(batch, answer)
            batches = call.take_resends()
        return call.replies()

    async def _answer(self, batch: Batch) -> list[Any] | RedisUnavailable:
        node = self._nodes.get(batch.node)
        if node is None:
            server = self._server.node(batch.node)
            node = self._nodes[batch.node] = AsyncNode(server, max_pending=self._max_pending)
        sent = words_of(batch)
        try:
            return replies_of(sent, await node.ask(sent))
        except RedisUnavailable as failure:
            return failure

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            # A waiting call gets the error; otherwise the next call looks again.
            task.exception()
