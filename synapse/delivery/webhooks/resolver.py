"""Resolution of names to checked addresses, and connections to no others.

A name is resolved once, all its addresses are checked, and the connection goes to one of them, so DNS rebinding cannot
reach another. The address is checked once more when the socket is created.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from synapse.delivery.webhooks.target import Allowed, connection_complaint
from synapse.errors.delivery import SinkError

# Returns the addresses, as texts, for the name of a host and a port. Raises OSError.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Resolve a name with the operating system."""
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(row[4][0]) for row in rows]


class CheckedResolver(AbstractResolver):
    """A resolver for aiohttp that refuses a name if any of its addresses must not be used."""

    def __init__(self, allowed: Allowed, lookup: Lookup = system_lookup) -> None:
        self._allowed = allowed
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        texts = list(dict.fromkeys(await self._lookup(host, port)))
        for text in texts:
            check_address(text, self._allowed, host=host)
        return [_resolve_result(host, text, port) for text in texts]

    async def close(self) -> None:
        return


def check_address(text: str, allowed: Allowed, *, host: str = "") -> None:
    """Check an address of the host with this name.

    Raises:
        SinkError: when the address must not be used.
    """
    if complaint := connection_complaint(text, allowed, host=host):
        raise SinkError(f"Nothing was sent: {complaint}")


def guarded_socket_factory(allowed: Allowed, host: str) -> Callable[[Any], socket.socket]:
    """Return a socket factory for aiohttp that checks each address of a host."""

    def make(row: Any) -> socket.socket:
        family, kind, protocol, _, address = row
        check_address(str(address[0]), allowed, host=host)
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def _resolve_result(host: str, text: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=text,
        port=port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
