"""Runs commands on the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from synapse.redis.cluster.nodes import AsyncCluster
from synapse.redis.command import Command, Conversation, Job
from synapse.redis.connection import Server
from synapse.redis.errors import RedisUnavailable, RedisUnreachable, ReplyError
from synapse.redis.node import MAX_PENDING, AsyncNode
from synapse.redis.pipeline import PipelinedConnection
from synapse.runtime.turn_queue import turn_queue

T = TypeVar("T")
Jobs = Callable[[Job], Coroutine[Any, Any, list[Any]]]


async def do_in_a_thread(job: Job) -> list[Any]:
    """Run a job in a thread of the event loop's default pool, which has no other users."""
    return await asyncio.to_thread(job.work)


class AsyncExecutor:
    """Sends commands over one pipelined connection, in a cluster one for each node, and passes jobs to `jobs`."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING, jobs: Jobs = do_in_a_thread) -> None:
        kind = AsyncCluster if server.is_cluster() else AsyncNode
        self.nodes: AsyncCluster | AsyncNode = kind(server, max_pending=max_pending)
        self._jobs = jobs
        # The only references to these tasks.
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, conversation: Conversation[T]) -> T:
        """Run the conversation to its end and return its result."""
        try:
            asked = next(conversation)
        except StopIteration as end:
            result: T = end.value
            return result
        return await self._rest(conversation, self._answer(asked))

    def begin(
        self, conversation: Conversation[T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run the conversation, and call one of the two callbacks at its end, which may be before this returns.

        As long as Redis answers, no task is made or woken, which halves the cost of a short conversation.
        """
        _Talk(self, conversation, done, failed).go_on(lambda: next(conversation))

    async def _rest(self, conversation: Conversation[T], answer: Awaitable[list[Any]]) -> T:
        """Run the rest of a conversation, whose last commands are being answered."""
        try:
            while True:
                try:
                    replies = await answer
                except Exception as error:  # the conversation's, to handle or to raise
                    asked = conversation.throw(error)
                else:
                    asked = conversation.send(replies)
                answer = self._answer(asked)
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, asked: Sequence[Command] | Job) -> Coroutine[Any, Any, list[Any]]:
        return self._jobs(asked) if isinstance(asked, Job) else self.execute(asked)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline, in a cluster one for each node, and return a parsed reply, or a
        ReplyError, for each.

        Raises:
            RedisUnreachable: when the server cannot be reached; nothing was sent.
            QueueFull: when too many commands wait already; nothing was sent.
            ReplyLost: when the connection broke or timed out after sending.
        """
        if not commands:
            await turn_queue.turn()
            return []
        replies = await self.nodes.ask(commands)
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    async def _finish(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        replies = await self.nodes.finish(connection, commands, replies)
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        """Close the connections. The executor can be used again."""
        self.nodes.close()


class _Talk(Generic[T]):
    """A conversation that runs in the callbacks of its connection; a longer step becomes a task."""

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

    def go_on(self, step: Callable[[], Sequence[Command] | Job]) -> None:
        """Take the next step, and send its commands."""
        try:
            asked = step()
        except StopIteration as end:
            self._done(end.value)
        except Exception as error:  # not hidden: the caller gets it
            self._failed(error)
        else:
            if not asked:
                turn_queue.enter(partial(self.go_on, partial(self._conversation.send, [])))
            elif isinstance(asked, Job) or (connection := self._executor.nodes.ready(asked)) is None:
                self._in_a_task(self._executor._answer(asked))
            else:
                connection.send_for(asked, partial(self._take, connection, asked))

    def _take(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any] | Exception
    ) -> None:
        if isinstance(replies, RedisUnavailable):
            self.go_on(partial(self._conversation.throw, replies))
        elif isinstance(replies, Exception):
            self._failed(replies)
        elif ReplyError in map(type, replies):
            self._in_a_task(self._executor._finish(connection, commands, replies))
        else:
            self.go_on(partial(self._send, commands, replies))

    def _send(self, commands: Sequence[Command], replies: Sequence[Any]) -> Sequence[Command] | Job:
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
            self._failed(error if isinstance(error, Exception) else RedisUnreachable("The server stops."))
