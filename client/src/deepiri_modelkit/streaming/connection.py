"""The address of Redis, and the exchange of commands and replies with it.

redis-py's own clients send a command again when its reply was lost, ten times by default, and would store an event as
often. So its connections are used directly here: what is sent is sent once, and the caller hears what is known of it.
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
    """The address of Redis and the credentials. `url`, when given, replaces all of them. `timeout` is in seconds."""

    host: str
    port: int
    db: int
    username: str | None
    password: str | None = field(repr=False)
    url: str | None = field(repr=False)
    timeout: float

    def connection(self) -> Connection:
        """Return a connection, not yet connected."""
        options = self._options()
        kind = options.pop("connection_class", Connection)
        connection: Connection = kind(**options)
        return connection

    def pool(self, size: int) -> BlockingConnectionPool:
        """Return a pool of up to `size` connections. When none is free, a caller waits up to `timeout` seconds."""
        limits = {"max_connections": size, "timeout": self.timeout}
        return BlockingConnectionPool(**{**self._options(), **limits})

    def _options(self) -> dict[str, Any]:
        if self.url:
            where = dict(parse_url(self.url))
        else:
            where = {"host": self.host, "port": self.port, "db": self.db}
            where |= {"username": self.username, "password": self.password}
        if "path" not in where:
            # Not a unix socket: notice a peer that has gone without a word.
            where["socket_keepalive"] = True
        own = {
            "socket_connect_timeout": self.timeout,
            # Time is kept by `exchange`: redis-py does it with asyncio.wait_for, which swallows one in ten
            # cancellations before Python 3.12.
            "socket_timeout": None,
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": False,
            # The replies are parsed here, in the older protocol's shapes.
            "protocol": 2,
        }
        return {**where, **own}


async def exchange(connection: Connection, commands: Sequence[Command], *, answer_within: float) -> list[Any]:
    """Send the commands in one batch and return their replies in order; an error reply stands among them as an
    exception.

    Raises:
        one of `LOST`: it is not known which commands were carried out, and the connection is closed. That is also so
            when the last reply has not come after `answer_within` seconds.
    """
    try:
        async with asyncio.timeout(answer_within):
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _reply(connection) for _ in commands]
    except BaseException:
        # After any error, a reply that is still to come must not be taken for the next command's.
        await connection.disconnect(nowait=True)
        raise


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except redis_errors.ResponseError as refusal:
        return refusal
