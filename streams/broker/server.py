"""Where the Redis server is, and opening connections to it: redis-py does TLS, unix sockets, AUTH and SELECT."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECT_TIMEOUT = 0.5


def unreachable(error: Exception) -> str:
    """Return the sentence that says why no connection was made; a timeout has no words of its own."""
    return f"Redis cannot be reached: {str(error).rstrip('. ') or 'no answer in time'}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server of the events.

    `locate` returns its URL, anew for each connection (the embedded server can move to another port), or raises
    `streams.errors.BrokerDown` when there is none. `timeout` is how many seconds an answer may take.
    """

    locate: Callable[[], str]
    timeout: float

    def address(self) -> str:
        """Return the address for people: without user and password."""
        parts = urlsplit(self.locate())
        return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"

    def pool(self, *, timeout: float | None = None) -> redis.ConnectionPool:
        """Return a pool of blocking connections."""
        return redis.ConnectionPool.from_url(
            self.locate(), retry=Retry(NoBackoff(), 0), **self._options(timeout or self.timeout)
        )

    async def open(self) -> redis.asyncio.Connection:
        """Return a connection for the event loop, connected and authenticated."""
        pool = redis.asyncio.ConnectionPool.from_url(
            self.locate(), retry=redis.asyncio.retry.Retry(NoBackoff(), 0), **self._options(self.timeout)
        )
        connection: redis.asyncio.Connection = pool.make_connection()
        await connection.connect()
        return connection

    def _options(self, timeout: float) -> dict[str, Any]:
        # RESP2 and no retries: one parser serves both executors, and a command is never sent twice unasked.
        return {
            "protocol": 2,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_timeout": timeout,
            "socket_keepalive": True,
            "health_check_interval": 0,
            "driver_info": None,
        }
