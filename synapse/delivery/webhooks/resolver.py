"""Names to addresses, each of them checked, and connections to those and no others.

A name is resolved once, every address is looked at, and the connection goes to one of them: a name that resolves to
something else a moment later (DNS rebinding) gains nothing. The last look is at the socket itself.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from synapse.delivery.webhooks.target import Allowed, connection_complaint
from synapse.errors.delivery import SinkError

# A host's name and a port to the texts of its addresses. Raises OSError.
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Ask the operating system."""
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(row[4][0]) for row in rows]


class CheckedResolver(AbstractResolver):
    """Resolves names as aiohttp asks for it, and refuses one of whose addresses a single one must not be used."""

    def __init__(self, allowed: Allowed, lookup: Lookup = system_lookup) -> None:
        self._allowed = allowed
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        texts = list(dict.fromkeys(await self._lookup(host, port)))
        for text in texts:
            check(text, self._allowed, host=host)
        return [_result(host, text, port) for text in texts]

    async def close(self) -> None:
        return


def check(text: str, allowed: Allowed, *, host: str = "") -> None:
    """Look at an address, which a host of this name has.

    Raises:
        SinkError: when nothing may be sent there.
    """
    if complaint := connection_complaint(text, allowed, host=host):
        raise SinkError(f"Nothing was sent: {complaint}")


def guarded_socket(allowed: Allowed, host: str) -> Callable[[Any], socket.socket]:
    """Return what makes the sockets for the connections to a host: to addresses that were checked."""

    def make(row: Any) -> socket.socket:
        family, kind, protocol, _, address = row
        check(str(address[0]), allowed, host=host)
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def _result(host: str, text: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=text,
        port=port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
