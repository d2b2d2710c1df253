"""Where the Redis server is, and opening connections to it: redis-py does TLS, unix sockets, AUTH and SELECT, and asks
the Sentinels."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from synapse.errors.streams import BrokerDown
from synapse.redis import address
from synapse.redis.address import Address, Place
from synapse.redis.sentinel import ConnectionToPrimary, Primary, TlsConnectionToPrimary

CONNECT_TIMEOUT = 0.5


def unreachable(error: Exception) -> str:
    """Return the sentence that says why no connection was made; a timeout has no words of its own."""
    return f"Redis cannot be reached: {str(error).rstrip('. ') or 'no answer in time'}."


@lru_cache(maxsize=16)
def _primary(url: str) -> Primary:
    return Primary(address.read(url))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server of the events.

    `locate` returns its URL, anew for each connection (the embedded server can move to another port), or raises
    `synapse.errors.streams.BrokerDown` when there is none. `timeout` is how many seconds an answer may take.
    """

    locate: Callable[[], str]
    timeout: float

    def address(self) -> Address:
        """Return what the URL says; as text it has neither user nor password."""
        return address.read(self.locate())

    def is_cluster(self) -> bool:
        """Say whether it is a cluster: then there is no one server to open connections to."""
        try:
            return self.address().kind == "cluster"
        except BrokerDown:  # the embedded one, which was never started
            return False

    def node(self, place: Place) -> "Server":
        """Return one node of the cluster, as a server of its own."""
        url = self.address().url_of(place)
        return replace(self, locate=lambda: url)

    def pool(self, *, timeout: float | None = None) -> redis.ConnectionPool:
        """Return a pool of blocking connections."""
        url, options = self.locate(), self._options(timeout or self.timeout)
        options["retry"] = Retry(NoBackoff(), 0)
        said = address.read(url)
        if said.kind == "sentinel":
            kind = TlsConnectionToPrimary if said.is_tls else ConnectionToPrimary
            options |= {**_of(said), "connection_class": kind, "find": _primary(url).find}
            return redis.ConnectionPool(**options)
        return redis.ConnectionPool.from_url(url, **options)

    async def open(self) -> redis.asyncio.Connection:
        """Return a connection for the event loop, connected and authenticated."""
        url, options = self.locate(), self._options(self.timeout)
        if (said := address.read(url)).kind == "sentinel":
            url = said.url_of(await _primary(url).look())
        options["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
        pool = redis.asyncio.ConnectionPool.from_url(url, **options)
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


def _of(said: Address) -> dict[str, Any]:
    """Return what the URL says of each connection."""
    options = redis.connection.parse_url(said.url_of(said.places[0]))
    return {name: value for name, value in options.items() if name not in ("host", "port", "connection_class")}
