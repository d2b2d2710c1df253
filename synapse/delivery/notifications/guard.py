"""A guard over the connections of a process, with any library: they go to addresses that webhooks may call.

Names are resolved here, and every address of theirs is looked at, as `synapse.delivery.webhooks.resolver` does. The
last look is at each connection: Python tells of it before the system does it (PEP 578), and a hook cannot be taken
away. So redirects, proxies, and names that resolve to something else a moment later gain nothing.
"""

import socket
import sys
from typing import Any

from synapse.delivery.webhooks.target import Allowed, connection_complaint

_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")


class Refused(OSError):
    """A connection was refused: libraries take it for one that failed."""


class AddressGuard:
    """Refuses connections to other addresses than those that are allowed. `refusal` says why the last one was."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        # The addresses of hosts that are allowed by name.
        self._of_hosts: set[str] = set()
        self._lookup = socket.getaddrinfo
        self.refusal = ""

    def install(self) -> None:
        """Watch over this process from now on, until it ends."""
        socket.getaddrinfo = self._resolve
        sys.addaudithook(self._watch)

    def _resolve(self, host: Any, *others: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        rows = self._lookup(host, *others, **options)
        addresses = [str(row[4][0]) for row in rows]
        for address in addresses:
            self._check(address, host=name)
        if self._allowed.host(name):
            self._of_hosts.update(addresses)
        return rows

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _SENDING:
            return
        address = arguments[1]
        text = str(address[0]) if isinstance(address, tuple) else "a path"
        if text not in self._of_hosts:
            self._check(text)

    def _check(self, text: str, *, host: str = "") -> None:
        if complaint := connection_complaint(text, self._allowed, host=host):
            self.refusal = complaint
            raise Refused(complaint)
