"""Runs Redis commands on the event loop."""

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
    """Run a job in a thread of the event loop's default pool, which nothing else uses."""
    return await asyncio.to_thread(job.work)


class AsyncExecutor:
    """Sends commands over one pipelined connection, or one for each node of a cluster. Jobs are passed to `jobs`."""

    def __init__(self, server: Server, *, max_pending: int = MAX_PENDING, jobs: Jobs = do_in_a_thread) -> None:
        kind = AsyncCluster if server.is_cluster() else AsyncNode
        self.nodes: AsyncCluster | AsyncNode = kind(server, max_pending=max_pending)
        self._jobs = jobs
        # The tasks of conversations; the event loop holds no strong reference to them.
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, conversation: Conversation[T]) -> T:
        """Run a conversation to its end and return its result."""
        try:
            asked = next(conversation)
        except StopIteration as end:
            result: T = end.value
            return result
        return await self._run_rest(conversation, self._start_step(asked))

    def begin(
        self, conversation: Conversation[T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run a conversation, and call one of the callbacks at its end, which may be before `begin` returns.

        As long as Redis replies without errors, no task is created or woken, which halves the cost of a short
        conversation.
        """
        _CallbackConversation(self, conversation, done, failed).advance(lambda: next(conversation))

    async def _run_rest(self, conversation: Conversation[T], answer: Awaitable[list[Any]]) -> T:
        """Run the rest of a conversation. `answer` is the awaitable result of its last step."""
        try:
            while True:
                try:
                    replies = await answer
                except Exception as error:  # passed to the conversation, which handles or raises it
                    asked = conversation.throw(error)
                else:
                    asked = conversation.send(replies)
                answer = self._start_step(asked)
        except StopIteration as end:
            result: T = end.value
            return result

    def _start_step(self, asked: Sequence[Command] | Job) -> Coroutine[Any, Any, list[Any]]:
        return self._jobs(asked) if isinstance(asked, Job) else self.execute(asked)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline, or one for each node of a cluster. Return a parsed reply, or a ReplyError,
        for each.

        Raises:
            RedisUnreachable: when the server cannot be reached; nothing was sent.
            QueueFull: when too many commands wait already; nothing was sent.
            ReplyLost: when the connection broke or timed out after sending.
        """
        if not commands:
            await turn_queue.turn()
            return []
        replies = await self.nodes.ask(commands)
        return [command.parse_reply(reply) for command, reply in zip(commands, replies, strict=True)]

    async def _finish_commands(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        replies = await self.nodes.finish(connection, commands, replies)
        return [command.parse_reply(reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        """Close the connections. The executor can be used again."""
        self.nodes.close()


class _CallbackConversation(Generic[T]):
    """A conversation that runs in the callbacks of its connection. A step that cannot be sent at once continues in a
    task.
    """

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

    def advance(self, step: Callable[[], Sequence[Command] | Job]) -> None:
        """Run the next step, and send its commands."""
        try:
            asked = step()
        except StopIteration as end:
            self._done(end.value)
        except Exception as error:  # not hidden: passed to the caller's callback
            self._failed(error)
        else:
            if not asked:
                turn_queue.enter(partial(self.advance, partial(self._conversation.send, [])))
            elif isinstance(asked, Job) or (connection := self._executor.nodes.ready(asked)) is None:
                self._continue_in_task(self._executor._start_step(asked))
            else:
                connection.send_for(asked, partial(self._on_replies, connection, asked))

    def _on_replies(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any] | Exception
    ) -> None:
        if isinstance(replies, RedisUnavailable):
            self.advance(partial(self._conversation.throw, replies))
        elif isinstance(replies, Exception):
            self._failed(replies)
        elif ReplyError in map(type, replies):
            self._continue_in_task(self._executor._finish_commands(connection, commands, replies))
        else:
            self.advance(partial(self._send_parsed, commands, replies))

    def _send_parsed(self, commands: Sequence[Command], replies: Sequence[Any]) -> Sequence[Command] | Job:
        parsed = [command.parse(reply) for command, reply in zip(commands, replies, strict=True)]
        return self._conversation.send(parsed)

    def _continue_in_task(self, answer: Coroutine[Any, Any, list[Any]]) -> None:
        task = asyncio.create_task(self._executor._run_rest(self._conversation, answer))
        self._executor._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[T]) -> None:
        self._executor._tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._done(task.result())
        else:
            self._failed(error if isinstance(error, Exception) else RedisUnreachable("The server stops."))
