"""Runs commands in the calling thread: for Django views, management commands and bridges."""

from collections.abc import Sequence
from threading import Lock
from typing import Any, TypeVar

import redis
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from streams.broker.command import Command, Conversation, ReplyError, is_no_primary, missing_scripts
from streams.broker.server import Server, unreachable
from streams.errors import BrokerDown, OutcomeUnknown, Unavailable

T = TypeVar("T")

# redis-py takes the code off the errors that it has a class for.
_CODES = {NoScriptError: "NOSCRIPT", ReadOnlyError: "READONLY", OutOfMemoryError: "OOM", NoPermissionError: "NOPERM"}


class SyncExecutor:
    """Sends commands and waits for their replies. Safe to share between threads.

    `timeout` overrides the server's: seconds that an answer may take, for blocking reads.
    """

    def __init__(self, server: Server, *, timeout: float | None = None) -> None:
        self.server = server
        self._timeout = timeout
        self._lock = Lock()
        self._pool: redis.ConnectionPool | None = None

    def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation to its end and return what it found out."""
        try:
            commands = next(conversation)
            while True:
                try:
                    replies = self.execute(commands)
                except Unavailable as problem:
                    commands = conversation.throw(problem)
                else:
                    commands = conversation.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands in one pipeline and return a parsed reply, or a ReplyError, for each.

        Raises:
            BrokerDown: when the server cannot be reached; nothing was sent.
            OutcomeUnknown: when the connection broke or timed out after sending.
        """
        if not commands:
            return []
        replies = self._send(commands)
        if is_no_primary(replies):
            self.close()
        if again := missing_scripts(commands, replies):
            for (place, _), reply in zip(again, self._send([command for _, command in again]), strict=True):
                replies[place] = reply
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        """Close the idle connections. The executor can be used again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.disconnect()

    def _forget(self, pool: redis.ConnectionPool) -> None:
        """Look for the server anew next time; what other threads are asking meanwhile goes on."""
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.disconnect(inuse_connections=False)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        pool = self._current_pool()
        try:
            connection = pool.get_connection()
        except (RedisError, OSError) as error:
            self._forget(pool)
            raise BrokerDown(unreachable(error)) from error
        try:
            connection.send_packed_command(connection.pack_commands([command.words for command in commands]))
            return [_reply(connection) for _ in commands]
        except BusyLoadingError as error:
            raise BrokerDown("Redis is still loading its data.") from error
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise OutcomeUnknown(f"The connection to Redis failed after the command was sent: {error}.") from error
        except BaseException:
            # Interrupted between a command and its reply: the next user must not read our answer.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def _current_pool(self) -> redis.ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = self.server.pool(timeout=self._timeout)
            return self._pool


def _reply(connection: Any) -> Any:
    try:
        return _own(connection.read_response(disable_decoding=True))
    except ResponseError as error:
        return _own(error)


def _own(reply: Any) -> Any:
    """Return a reply with redis-py's errors as ours, those inside the reply to EXEC too."""
    if isinstance(reply, ResponseError):
        code = next((code for kind, code in _CODES.items() if isinstance(reply, kind)), "")
        return ReplyError(f"{code} {reply}".strip())
    # EXEC's list has errors at its top, if anywhere. No deeper look: a reply can hold thousands of entries.
    if isinstance(reply, list) and any(isinstance(part, ResponseError) for part in reply):
        return [_own(part) for part in reply]
    return reply
