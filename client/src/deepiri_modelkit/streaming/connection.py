"""The address of Redis, and the exchange of commands and replies with it.

redis-py's own clients resend a command whose reply was lost, ten times by default, and could store an event as often.
So its connections are used directly here: a command is sent once, and errors say what is known about its outcome.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

Command = Sequence[str | bytes | int]

LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, redis_errors.InvalidResponse, OSError)
"""The exceptions that end a connection. OSError includes the TimeoutError of Python."""
NO_ENTRY = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
"""The exceptions of redis-py when Redis refuses this client; redis-py counts both as connection errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The address of Redis and the credentials. `url` replaces all of them if it is set. `timeout` is in seconds."""

    host: str
    port: int
    db: int
    username: str | None
    password: str | None = field(repr=False)
    url: str | None = field(repr=False)
    timeout: float

    def make_connection(self) -> Connection:
        """Create a connection without connecting it."""
        options = self._options()
        kind = options.pop("connection_class", Connection)
        connection: Connection = kind(**options)
        return connection

    def make_pool(self, size: int) -> BlockingConnectionPool:
        """Create a pool of up to `size` connections. If none is free, a caller waits up to `timeout` seconds."""
        limits = {"max_connections": size, "timeout": self.timeout}
        return BlockingConnectionPool(**{**self._options(), **limits})

    def _options(self) -> dict[str, Any]:
        if self.url:
            where = dict(parse_url(self.url))
        else:
            where = {"host": self.host, "port": self.port, "db": self.db}
            where |= {"username": self.username, "password": self.password}
        if "path" not in where:
            # Over TCP, keepalive detects a peer that has disappeared.
            where["socket_keepalive"] = True
        own = {
            "socket_connect_timeout": self.timeout,
            # `exchange` enforces the timeout. redis-py would use asyncio.wait_for, which before Python 3.12 loses one
            # in ten cancellations.
            "socket_timeout": None,
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": False,
            # This package parses replies in the shapes of RESP2.
            "protocol": 2,
        }
        return {**where, **own}


async def exchange(connection: Connection, commands: Sequence[Command], *, answer_within: float) -> list[Any]:
    """Send the commands in one batch and return their replies in order. An error reply is returned as an exception.

    Raises:
        one of `LOST`: the connection broke, or the last reply did not come within `answer_within` seconds. It is
        unknown which commands were executed, and the connection is closed.
    """
    try:
        async with asyncio.timeout(answer_within):
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _reply(connection) for _ in commands]
    except BaseException:
        # After an error, a late reply must not be mistaken for that of the next command.
        await connection.disconnect(nowait=True)
        raise


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except redis_errors.ResponseError as refusal:
        return refusal
