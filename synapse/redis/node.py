"""Connections to one server, opened on first use and again after a loss: a pool of redis-py for threads, and one
pipelined connection for an event loop.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import redis
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from synapse.redis.command import Command, is_no_primary, missing_scripts
from synapse.redis.connection import Server, unreachable
from synapse.redis.errors import QueueFull, RedisUnreachable, ReplyError, ReplyLost
from synapse.redis.pipeline import PipelinedConnection

# redis-py removes the code from errors for which it has a class. Subclasses come before their base classes.
_CODES = {
    NoScriptError: "NOSCRIPT",
    ReadOnlyError: "READONLY",
    OutOfMemoryError: "OOM",
    NoPermissionError: "NOPERM",
    MovedError: "MOVED",
    AskError: "ASK",
    TryAgainError: "TRYAGAIN",
    MasterDownError: "MASTERDOWN",
    ClusterCrossSlotError: "CROSSSLOT",
    ClusterDownError: "CLUSTERDOWN",
}


class SyncNode:
    """Sends commands to one server and waits for their replies. Safe to share between threads.

    `timeout` is the time for a reply in seconds, in place of the server's `timeout`.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self._server = server
        self._timeout = timeout
        self._lock = Lock()
        self._pool: redis.ConnectionPool | None = None
        self._used: set[Any] = set()

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline and return a raw reply, or a ReplyError, for each."""
        return self.begin(commands)()

    def begin(self, commands: Sequence[Command]) -> Callable[[], list[Any]]:
        """Send the commands. The returned function waits for the replies, must be called once, and raises like
        `ask`.
        """
        replies = self._begin(commands)

        def finish() -> list[Any]:
            found = replies()
            if is_no_primary(found):
                self.close()
            if again := missing_scripts(commands, found):
                repeated = self._begin([command for _, command in again])()
                for (place, _), reply in zip(again, repeated, strict=True):
                    found[place] = reply
            return found

        return finish

    def interrupt(self) -> None:
        """Interrupt other threads that wait, by shutting their connections down as the server would."""
        for connection in list(self._used):
            if (used := connection._sock) is not None:
                with suppress(OSError):  # already closed
                    used.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the idle connections. The node can be used again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.disconnect()

    def _discard_pool(self, pool: redis.ConnectionPool) -> None:
        """Locate the server again before the next commands. Commands of other threads continue meanwhile."""
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.disconnect(inuse_connections=False)

    def _begin(self, commands: Sequence[Command]) -> Callable[[], list[Any]]:
        pool = self._current_pool()
        try:
            connection = pool.get_connection()
        except (RedisError, OSError) as error:
            self._discard_pool(pool)
            raise RedisUnreachable(unreachable(error)) from error
        self._used.add(connection)
        using = _BorrowedConnection(pool, connection, self._used)
        using.do(lambda: connection.send_packed_command(_pack(connection, commands)))
        return lambda: using.do(lambda: [_read_reply(connection) for _ in commands], last=True)

    def _current_pool(self) -> redis.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = self._server.pool(timeout=self._timeout)
            return self._pool


class _BorrowedConnection:
    """A borrowed connection, used in steps. It returns to the pool after the last step or after a failure."""

    def __init__(self, pool: redis.ConnectionPool, connection: Any, used: set[Any]) -> None:
        self._pool = pool
        self._connection = connection
        self._used = used

    def do(self, step: Callable[[], Any], *, last: bool = False) -> Any:
        ended = True
        try:
            done = step()
            ended = last
            return done
        except BusyLoadingError as error:
            raise RedisUnreachable("Redis is still loading its data.") from error
        except (RedisError, OSError) as error:
            self._connection.disconnect()
            raise ReplyLost(f"The connection to Redis failed after the command was sent: {error}.") from error
        except BaseException:
            # Interrupted between a command and its reply: the next user of the connection would read this reply.
            self._connection.disconnect()
            raise
        finally:
            if ended:
                self._used.discard(self._connection)
                self._pool.release(self._connection)


def _pack(connection: Any, commands: Sequence[Command]) -> list[bytes]:
    if all(command.packed is None for command in commands):
        packed: list[bytes] = connection.pack_commands([command.words for command in commands])
        return packed
    # Joined, because each part would be written separately.
    return [b"".join([command.packed or b"".join(connection.pack_command(*command.words)) for command in commands])]


def _read_reply(connection: Any) -> Any:
    try:
        return _convert_errors(connection.read_response(disable_decoding=True))
    except ResponseError as error:
        return _convert_errors(error)


def _convert_errors(reply: Any) -> Any:
    """Return a reply with redis-py's errors as `ReplyError`, including those inside the reply to EXEC."""
    if isinstance(reply, ResponseError):
        code = next((code for kind, code in _CODES.items() if isinstance(reply, kind)), "")
        return ReplyError(f"{code} {reply}".strip())
    # Only the top level of the reply to EXEC can hold errors. Deeper levels are not searched: they can hold thousands
    # of entries.
    if isinstance(reply, list):
        for part in reply:
            if isinstance(part, ResponseError):
                return [_convert_errors(each) for each in reply]
    return reply


# More waiting commands mean that Redis is slower than the callers. Further ones are refused at once, and memory stays
# bounded.
MAX_PENDING = 20_000
MAX_PENDING_BYTES = 64 * 1024 * 1024
# The seconds after a failed attempt to connect within which callers are refused without a new attempt.
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
        """Return the connection, if the commands can be sent on it at once and together."""
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
        return await self.finish(connection, commands, await self._send(connection, commands))

    async def finish(
        self, connection: PipelinedConnection, commands: Sequence[Command], replies: list[Any]
    ) -> list[Any]:
        """Repeat the commands whose script the server did not know, and return all replies."""
        if is_no_primary(replies):
            connection.close()
        elif again := missing_scripts(commands, replies):
            repeated = await self._send(connection, [command for _, command in again])
            for (place, _), reply in zip(again, repeated, strict=True):
                replies[place] = reply
        return replies

    def holds(self, connection: PipelinedConnection) -> bool:
        """Say whether a connection is the one of this node."""
        return self._connection is connection

    async def _send(self, connection: PipelinedConnection, commands: Sequence[Command]) -> list[Any]:
        if not commands[-1].barrier:
            return await connection.send(commands)
        replies = connection.send(commands[:-1])
        # Others wait for the same barrier, so a cancelled waiter must not cancel it.
        both = await asyncio.gather(replies, asyncio.shield(connection.hold(commands[-1])))
        return [*both[0], *both[1]]

    def close(self) -> None:
        """Close the connection. The node can be used again."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.close()

    async def _reconnect(self) -> PipelinedConnection:
        """Return a new connection. All concurrent callers share one attempt, and a caller that is cancelled does not
        cancel it.
        """
        now = asyncio.get_running_loop().time()
        if self._failed is not None and now - self._failed[0] < PAUSE_AFTER_FAILURE:
            raise RedisUnreachable(self._failed[1].detail)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._on_opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> PipelinedConnection:
        try:
            async with asyncio.timeout(self._server.timeout):
                opened = await self._server.open()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnreachable(unreachable(error)) from error
        # The stream pair is private to redis-py; a test notices when that changes.
        writer = opened._writer
        if writer is None:
            raise RedisUnreachable("The connection to Redis was lost while it was opened.")
        opened._reader = opened._writer = None
        # Stored here rather than when the task is done: in between, the node may be closed.
        self._connection = PipelinedConnection(writer, timeout=self._server.timeout)
        return self._connection

    def _on_opened(self, task: asyncio.Task[PipelinedConnection]) -> None:
        self._opening = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, RedisUnreachable):
            self._failed = (asyncio.get_running_loop().time(), error)
        elif error is None and not task.cancelled():
            self._failed = None
