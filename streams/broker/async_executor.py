"""Runs commands on the event loop: for the express lane."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisError

from streams.broker.command import Command, Conversation, is_no_primary, missing_scripts
from streams.broker.pipelined import PipelinedConnection
from streams.broker.server import Server, unreachable
from streams.errors import BrokerDown, Busy, Unavailable

T = TypeVar("T")

# More than this waiting means that Redis is slower than the callers: they are told at once, and memory stays flat.
MAX_PENDING = 20_000
MAX_PENDING_BYTES = 64 * 1024 * 1024
# How long after a failed attempt callers are refused without another, in seconds.
PAUSE_AFTER_FAILURE = 0.1


class AsyncExecutor:
    """Sends commands over one pipelined connection, opened when first needed and again after it was lost."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING) -> None:
        self._server = server
        self._max_pending = max_pending
        self._connection: PipelinedConnection | None = None
        self._opening: asyncio.Task[PipelinedConnection] | None = None
        self._failed: tuple[float, BrokerDown] | None = None

    async def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation to its end and return what it found out."""
        try:
            commands = next(conversation)
            while True:
                try:
                    replies = await self.execute(commands)
                except Unavailable as problem:
                    commands = conversation.throw(problem)
                else:
                    commands = conversation.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline and return a parsed reply, or a ReplyError, for each.

        Raises:
            BrokerDown: when the server cannot be reached; nothing was sent.
            Busy: when too many commands wait already; nothing was sent.
            OutcomeUnknown: when the connection broke or timed out after sending.
        """
        if not commands:
            await asyncio.sleep(0)
            return []
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._reconnect()
        if connection.pending_bytes > MAX_PENDING_BYTES or (
            connection.pending and connection.pending + len(commands) > self._max_pending
        ):
            raise Busy(f"{connection.pending} commands are waiting for Redis already.")
        replies = await self._sent(connection, commands)
        if is_no_primary(replies):
            connection.close()
            return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]
        if again := missing_scripts(commands, replies):
            repeated = await self._sent(connection, [command for _, command in again])
            for (place, _), reply in zip(again, repeated, strict=True):
                replies[place] = reply
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    async def _sent(self, connection: PipelinedConnection, commands: Sequence[Command]) -> list[Any]:
        if not commands[-1].barrier:
            return await connection.send(commands)
        replies = connection.send(commands[:-1])
        # Others wait at the same barrier: who goes away must not take it along.
        both = await asyncio.gather(replies, asyncio.shield(connection.hold(commands[-1])))
        return [*both[0], *both[1]]

    def close(self) -> None:
        """Close the connection. The executor can be used again."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.close()

    async def _reconnect(self) -> PipelinedConnection:
        """Return a new connection: all callers of the moment share one attempt, and none is cancelled by another."""
        now = asyncio.get_running_loop().time()
        if self._failed is not None and now - self._failed[0] < PAUSE_AFTER_FAILURE:
            raise BrokerDown(self._failed[1].detail)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> PipelinedConnection:
        try:
            async with asyncio.timeout(self._server.timeout):
                opened = await self._server.open()
        except (RedisError, OSError, TimeoutError) as error:
            raise BrokerDown(unreachable(error)) from error
        # redis-py keeps the stream pair private; a test notices when that changes.
        writer = opened._writer
        if writer is None:
            raise BrokerDown("The connection to Redis was lost while it was opened.")
        opened._reader = opened._writer = None
        return PipelinedConnection(writer, timeout=self._server.timeout)

    def _opened(self, task: asyncio.Task[PipelinedConnection]) -> None:
        self._opening = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, BrokerDown):
            self._failed = (asyncio.get_running_loop().time(), error)
        elif error is None and not task.cancelled():
            self._failed = None
            self._connection = task.result()
