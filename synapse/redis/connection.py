"""Locating the Redis server, and opening connections to it. redis-py does TLS, unix sockets, AUTH and SELECT.

Whenever a connection opens, the Sentinels are asked for the current primary. redis-py's own connections for Sentinels
are not used: they turn a READONLY reply into a lost connection, and a refused write would then have an unknown outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from synapse.redis import address
from synapse.redis.address import Address, NodeAddress
from synapse.redis.errors import RedisUnreachable

# Seconds that one Sentinel may take. If some are unavailable, the next ones are asked within the same request.
SENTINEL_TIMEOUT = 0.25


class Primary:
    """Finds the primary of an address. The Sentinel that replied last is asked first."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._places = list(address.places)

    def find(self) -> NodeAddress:
        """Return the address of the primary.

        Raises:
            RedisError: when no Sentinel names one.
        """
        with Sentinel(self._places, sentinel_kwargs=self._options(Retry(NoBackoff(), 0))) as sentinel:
            try:
                return self._remember_first(sentinel.discover_master(self._address.service), sentinel)
            except MasterNotFoundError as error:
                raise self._no_primary_error() from error

    async def find_async(self) -> NodeAddress:
        """Return the address of the primary, on the event loop. Raises like `find`."""
        sentinel = AsyncSentinel(self._places, sentinel_kwargs=self._options(redis.asyncio.retry.Retry(NoBackoff(), 0)))
        try:
            return self._remember_first(await sentinel.discover_master(self._address.service), sentinel)
        except redis.asyncio.sentinel.MasterNotFoundError as error:
            raise self._no_primary_error() from error
        finally:
            await sentinel.aclose()

    def _remember_first(self, place: tuple[Any, Any], sentinel: Sentinel | AsyncSentinel) -> NodeAddress:
        answered = sentinel.sentinels[0].connection_pool.connection_kwargs
        first = (answered["host"], answered["port"])
        # Another thread may run this, too: the list is replaced as a whole, so that it stays consistent.
        self._places = [first, *(other for other in self._places if other != first)]
        return str(place[0]), int(place[1])

    def _no_primary_error(self) -> RedisConnectionError:
        return RedisConnectionError(f"no Sentinel knows a primary “{self._address.service}” that is up")

    def _options(self, retry: Any) -> dict[str, Any]:
        tls = {}
        if self._address.is_tls:
            tls = parse_url(self._address.url_of(self._places[0]))
            tls = {name: value for name, value in tls.items() if name.startswith("ssl_")} | {"ssl": True}
        return {
            **self._address.logins,
            **tls,
            "retry": retry,
            "protocol": 2,
            "socket_connect_timeout": SENTINEL_TIMEOUT,
            "socket_timeout": SENTINEL_TIMEOUT,
        }


class ConnectionToPrimary(redis.Connection):
    """A connection that locates the primary each time it is opened."""

    def __init__(self, *, find: Callable[[], NodeAddress], **options: Any) -> None:
        self._find = find
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = self._find()
        super().connect()  # type: ignore[no-untyped-call]


class TlsConnectionToPrimary(ConnectionToPrimary, SSLConnection):
    """A connection to the primary over TLS."""


CONNECT_TIMEOUT = 0.5


def unreachable(error: Exception) -> str:
    """Return the reason why no connection was opened, as a sentence. A timeout of redis-py has no text of its own."""
    return f"Redis cannot be reached: {str(error).rstrip('. ') or 'no answer in time'}."


@lru_cache(maxsize=16)
def _primary(url: str) -> Primary:
    return Primary(address.parse_url(url))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The Redis server that holds the events.

    `locate` returns its URL and is called for each connection, because the embedded server can move to another port. It
    raises `synapse.redis.errors.RedisUnreachable` when there is no server. `timeout` is the time for a reply in
    seconds.
    """

    locate: Callable[[], str]
    timeout: float

    def address(self) -> Address:
        """Return the parsed URL, whose text has neither user nor password."""
        return address.parse_url(self.locate())

    def is_cluster(self) -> bool:
        """Say whether the URL names a cluster. A cluster has no single server to connect to."""
        try:
            return self.address().kind == "cluster"
        except RedisUnreachable:  # the embedded server, which was never started
            return False

    def node(self, place: NodeAddress) -> "Server":
        """Return one node of the cluster as a server of its own."""
        url = self.address().url_of(place)
        return replace(self, locate=lambda: url)

    def pool(self, *, timeout: float | None = None) -> redis.ConnectionPool:
        """Return a pool of blocking connections."""
        url, options = self.locate(), self._options(timeout or self.timeout)
        options["retry"] = Retry(NoBackoff(), 0)
        said = address.parse_url(url)
        if said.kind == "sentinel":
            kind = TlsConnectionToPrimary if said.is_tls else ConnectionToPrimary
            options |= {**_parameters_of(said), "connection_class": kind, "find": _primary(url).find}
            return redis.ConnectionPool(**options)
        return redis.ConnectionPool.from_url(url, **options)

    async def open(self) -> redis.asyncio.Connection:
        """Return a connection for the event loop, connected and authenticated."""
        url, options = self.locate(), self._options(self.timeout)
        if (said := address.parse_url(url)).kind == "sentinel":
            url = said.url_of(await _primary(url).find_async())
        options["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
        pool = redis.asyncio.ConnectionPool.from_url(url, **options)
        connection: redis.asyncio.Connection = pool.make_connection()
        try:
            await connection.connect()
        except BaseException:
            # When cancelled before Redis has replied to the password, redis-py leaves the socket open.
            await connection.disconnect(nowait=True)
            raise
        return connection

    def _options(self, timeout: float) -> dict[str, Any]:
        # RESP2 and no retries: one parser serves both executors, and no command is sent twice by redis-py.
        return {
            "protocol": 2,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_timeout": timeout,
            "socket_keepalive": True,
            "health_check_interval": 0,
            "driver_info": None,
        }


def _parameters_of(said: Address) -> dict[str, Any]:
    """Return the parameters of each connection in the URL."""
    options = redis.connection.parse_url(said.url_of(said.places[0]))
    return {name: value for name, value in options.items() if name not in ("host", "port", "connection_class")}
