"""The connection of an event loop to one server: one pipelined connection, opened when first needed and again after it
was lost."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from synapse.redis.command import Command, is_no_primary, missing_scripts
from synapse.redis.connection import Server, unreachable
from synapse.redis.errors import QueueFull, RedisUnreachable
from synapse.redis.pipeline import PipelinedConnection

# More than this waiting means that Redis is slower than the callers: they are told at once, and memory stays flat.
MAX_PENDING = 20_000
MAX_PENDING_BYTES = 64 * 1024 * 1024
# How long after a failed attempt callers are refused without another, in seconds.
PAUSE_AFTER_FAILURE = 0.1


class AsyncNode:
    """Sends commands to one server over one connection."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING) -> None:
        self._server = server
        self._max_pending = max_pending
        self._connection: PipelinedConnection | None = None
        self._opening: asyncio.Task[PipelinedConnection] | None = None
        self._failed: tuple[float, RedisUnreachable] | None = None

    def ready(self, commands: Sequence[Command]) -> PipelinedConnection | None:
        """Return the connection, when the commands can go out on it at once and in one piece."""
        connection = self._connection
        if connection is None or connection.closed or not commands or commands[-1].barrier:
            return None
        return None if self._is_full(connection, commands) else connection

    def _is_full(self, connection: PipelinedConnection, commands: Sequence[Command]) -> bool:
        return connection.pending_bytes > MAX_PENDING_BYTES or bool(
            connection.pending and connection.pending + len(commands) > self._max_pending
        )

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline and return a raw reply, or a ReplyError, for each."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._reconnect()
        if self._is_full(connection, commands):
            raise QueueFull(f"{connection.pending} commands are waiting for Redis already.")
        return await self.finish(connection, commands, await self._sent(connection, commands))

    async def finish(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        """Ask again for what the server did not know, and return the replies."""
        if is_no_primary(replies):
            connection.close()
        elif again := missing_scripts(commands, replies):
            repeated = await self._sent(connection, [command for _, command in again])
            for (place, _), reply in zip(again, repeated, strict=True):
                replies[place] = reply
        return replies

    def holds(self, connection: PipelinedConnection) -> bool:
        """Say whether it is this node's connection."""
        return self._connection is connection

    async def _sent(self, connection: PipelinedConnection, commands: Sequence[Command]) -> list[Any]:
        if not commands[-1].barrier:
            return await connection.send(commands)
        replies = connection.send(commands[:-1])
        # Others wait at the same barrier: who goes away must not take it along.
        both = await asyncio.gather(replies, asyncio.shield(connection.hold(commands[-1])))
        return [*both[0], *both[1]]

    def close(self) -> None:
        """Close the connection. The node can be used again."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.close()

    async def _reconnect(self) -> PipelinedConnection:
        """Return a new connection: all callers of the moment share one attempt, and none is cancelled by another."""
        now = asyncio.get_running_loop().time()
        if self._failed is not None and now - self._failed[0] < PAUSE_AFTER_FAILURE:
            raise RedisUnreachable(self._failed[1].detail)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> PipelinedConnection:
        try:
            async with asyncio.timeout(self._server.timeout):
                opened = await self._server.open()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnreachable(unreachable(error)) from error
        # redis-py keeps the stream pair private; a test notices when that changes.
        writer = opened._writer
        if writer is None:
            raise RedisUnreachable("The connection to Redis was lost while it was opened.")
        opened._reader = opened._writer = None
        # Kept here, not when the task is looked at: between the two the node may be closed.
        self._connection = PipelinedConnection(writer, timeout=self._server.timeout)
        return self._connection

    def _opened(self, task: asyncio.Task[PipelinedConnection]) -> None:
        self._opening = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RedisUnreachable):
            self._failed = (asyncio.get_running_loop().time(), error)
        elif error is None and not task.cancelled():
            self._failed = None
