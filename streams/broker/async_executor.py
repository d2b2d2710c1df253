"""Runs commands on the event loop: for the express lane."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from redis.exceptions import RedisError

from streams.broker.command import Command, Conversation, ReplyError, is_no_primary, missing_scripts
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
        # Nobody else holds these tasks.
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation to its end and return what it found out."""
        try:
            commands = next(conversation)
        except StopIteration as end:
            result: T = end.value
            return result
        return await self._rest(conversation, self.execute(commands))

    def begin(
        self, conversation: Conversation[T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Hold the conversation as `run` does, and call one of the two at its end, which may be before this returns.

        No task is made and none is woken as long as Redis simply answers, which halves the cost of a short
        conversation.
        """
        _Talk(self, conversation, done, failed).go_on(lambda: next(conversation))

    async def _rest(self, conversation: Conversation[T], answer: Awaitable[list[Any]]) -> T:
        """Hold the rest of a conversation, whose last question is being answered."""
        try:
            while True:
                try:
                    replies = await answer
                except Unavailable as problem:
                    commands = conversation.throw(problem)
                else:
                    commands = conversation.send(replies)
                answer = self.execute(commands)
        except StopIteration as end:
            result: T = end.value
            return result

    def _ready(self, commands: Sequence[Command]) -> PipelinedConnection | None:
        """Return the connection, when the commands can go out on it at once and in one piece."""
        connection = self._connection
        if connection is None or connection.closed or not commands or commands[-1].barrier:
            return None
        return None if self._is_full(connection, commands) else connection

    def _is_full(self, connection: PipelinedConnection, commands: Sequence[Command]) -> bool:
        return connection.pending_bytes > MAX_PENDING_BYTES or bool(
            connection.pending and connection.pending + len(commands) > self._max_pending
        )

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
        if self._is_full(connection, commands):
            raise Busy(f"{connection.pending} commands are waiting for Redis already.")
        return await self._read(connection, commands, await self._sent(connection, commands))

    async def _read(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        """Parse the replies; ask again for what the server did not know."""
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


class _Talk(Generic[T]):
    """A conversation that goes on in the callbacks of its connection; what takes more than that becomes a task."""

    __slots__ = ("_conversation", "_done", "_executor", "_failed")

    def __init__(
        self,
        executor: AsyncExecutor,
        conversation: Conversation[T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._executor = executor
        self._conversation = conversation
        self._done = done
        self._failed = failed

    def go_on(self, step: Callable[[], Sequence[Command]]) -> None:
        """Take the next step, and send what it asks."""
        try:
            commands = step()
        except StopIteration as end:
            self._done(end.value)
        except Exception as error:  # not hidden: it is handed to who asked
            self._failed(error)
        else:
            connection = self._executor._ready(commands)
            if connection is None:
                self._in_a_task(self._executor.execute(commands))
            else:
                connection.send_for(commands, partial(self._take, connection, commands))

    def _take(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any] | Exception
    ) -> None:
        if isinstance(replies, Unavailable):
            self.go_on(partial(self._conversation.throw, replies))
        elif isinstance(replies, Exception):
            self._failed(replies)
        elif ReplyError in map(type, replies):
            self._in_a_task(self._executor._read(connection, commands, replies))
        else:
            self.go_on(partial(self._send, commands, replies))

    def _send(self, commands: Sequence[Command], replies: Sequence[Any]) -> Sequence[Command]:
        parsed = [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]
        return self._conversation.send(parsed)

    def _in_a_task(self, answer: Coroutine[Any, Any, list[Any]]) -> None:
        task = asyncio.create_task(self._executor._rest(self._conversation, answer))
        self._executor._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._executor._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._done(task.result())
        else:
            self._failed(error if isinstance(error, Exception) else BrokerDown("The server stops."))
