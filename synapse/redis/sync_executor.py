"""Runs Redis commands in the calling thread, for Django views, management commands and bridges."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from synapse.redis.cluster.nodes import SyncCluster
from synapse.redis.cluster.topology import topology_of
from synapse.redis.command import Command, Conversation, Job, value
from synapse.redis.commands.streams import scan
from synapse.redis.connection import Server
from synapse.redis.node import SyncNode

T = TypeVar("T")


class SyncExecutor:
    """Sends commands and waits for their replies. Safe to share between threads.

    `timeout` is the time for a reply in seconds. It overrides the server's `timeout` for blocking reads.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self.server = server
        kind = SyncCluster if server.is_cluster() else SyncNode
        self._nodes: SyncCluster | SyncNode = kind(server, timeout=timeout)

    def run(self, conversation: Conversation[T]) -> T:
        """Run a conversation to its end and return its result."""
        try:
            asked = next(conversation)
            while True:
                try:
                    replies = asked.work() if isinstance(asked, Job) else self.execute(asked)
                except Exception as error:  # passed to the conversation, which handles or raises it
                    asked = conversation.throw(error)
                else:
                    asked = conversation.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline, or one for each node of a cluster. Return a parsed reply, or a ReplyError,
        for each.

        Raises:
            RedisUnreachable: when the server cannot be reached; nothing was sent.
            ReplyLost: when the connection broke or timed out after sending.
        """
        if not commands:
            return []
        replies = self._nodes.ask(commands)
        return [command.parse_reply(reply) for command, reply in zip(commands, replies, strict=True)]

    def interrupt(self) -> None:
        """Interrupt the waits of other threads. For them the connection is lost, as if the server had closed it."""
        self._nodes.interrupt()

    def close(self) -> None:
        """Close the idle connections. The executor can be used again."""
        self._nodes.close()


_AT_ONCE = 1000


def keys_of(server: Server, *, match: str) -> Iterator[str]:
    """Yield the names of the keys that match a pattern, in no order. Keys that are created meanwhile may be missing.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    for node in _nodes_of(server):
        with closing(SyncExecutor(node)) as executor:
            cursor = b"0"
            while True:
                cursor, names = value(executor.execute([scan(cursor, count=_AT_ONCE, match=match)])[0])
                yield from names
                if cursor == b"0":
                    break


def _nodes_of(server: Server) -> list[Server]:
    if not server.is_cluster():
        return [server]
    topology = topology_of(server.locate())
    if topology.is_due:
        topology.refresh()
    return [server.node(place) for place in topology.places()]
