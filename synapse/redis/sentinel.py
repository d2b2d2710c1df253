"""Asking the Sentinels which server is the primary now, and connections of redis-py's pools that do so when they open.

redis-py's own connections for Sentinels turn a READONLY answer into a lost connection, which would make an unknown
outcome of a write that was refused.
"""

from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from synapse.redis.address import Address, Place

# How long one Sentinel may take, in seconds: when some of them are away, the next ones are asked within a request.
TIMEOUT = 0.25


class Primary:
    """Finds the primary that an address speaks of. The Sentinel that answered last is asked first."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._places = list(address.places)

    def find(self) -> Place:
        """Return where the primary is.

        Raises:
            RedisError: when no Sentinel says so.
        """
        with Sentinel(self._places, sentinel_kwargs=self._options(Retry(NoBackoff(), 0))) as sentinel:
            try:
                return self._found(sentinel.discover_master(self._address.service), sentinel)
            except MasterNotFoundError as error:
                raise self._nobody_knows() from error

    async def look(self) -> Place:
        """Do the same on the event loop."""
        sentinel = AsyncSentinel(self._places, sentinel_kwargs=self._options(redis.asyncio.retry.Retry(NoBackoff(), 0)))
        try:
            return self._found(await sentinel.discover_master(self._address.service), sentinel)
        except redis.asyncio.sentinel.MasterNotFoundError as error:
            raise self._nobody_knows() from error
        finally:
            await sentinel.aclose()

    def _found(self, place: tuple[Any, Any], sentinel: Sentinel | AsyncSentinel) -> Place:
        answered = sentinel.sentinels[0].connection_pool.connection_kwargs
        first = (answered["host"], answered["port"])
        # Another thread may be about it as well: a list that is replaced is never half changed.
        self._places = [first, *(other for other in self._places if other != first)]
        return str(place[0]), int(place[1])

    def _nobody_knows(self) -> RedisConnectionError:
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
            "socket_connect_timeout": TIMEOUT,
            "socket_timeout": TIMEOUT,
        }


class ConnectionToPrimary(redis.Connection):
    """A connection that asks where the primary is each time it is opened."""

    def __init__(self, *, find: Callable[[], Place], **options: Any) -> None:
        self._find = find
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = self._find()
        super().connect()  # type: ignore[no-untyped-call]


class TlsConnectionToPrimary(ConnectionToPrimary, SSLConnection):
    """The same over TLS."""
