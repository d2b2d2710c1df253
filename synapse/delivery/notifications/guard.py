"""A guard that restricts all connections of a process, by any library, to addresses that webhooks may call.

It resolves names and checks each address, as `synapse.delivery.webhooks.resolver` does. Each connection is checked
once more by an audit hook, which Python calls before it connects (PEP 578) and which cannot be removed. So redirects,
proxies and DNS rebinding cannot reach other addresses.
"""

import socket
import sys
from typing import Any

from synapse.delivery.webhooks.target import Allowed, connection_complaint

_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")


class Refused(OSError):
    """The guard refused a connection. Libraries handle it like a failed one."""


class AddressGuard:
    """Refuses connections to addresses that are not allowed. `refusal` is the reason of the last refusal."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        # The addresses of hosts that are allowed by name.
        self._of_hosts: set[str] = set()
        self._lookup = socket.getaddrinfo
        self.refusal = ""

    def install(self) -> None:
        """Guard this process from now on, until it ends."""
        socket.getaddrinfo = self._resolve
        sys.addaudithook(self._audit)

    def _resolve(self, host: Any, *others: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        rows = self._lookup(host, *others, **options)
        addresses = [str(row[4][0]) for row in rows]
        for address in addresses:
            self._check_address(address, host=name)
        if self._allowed.allows_host(name):
            self._of_hosts.update(addresses)
        return rows

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _SENDING:
            return
        address = arguments[1]
        text = str(address[0]) if isinstance(address, tuple) else "a path"
        if text not in self._of_hosts:
            self._check_address(text)

    def _check_address(self, text: str, *, host: str = "") -> None:
        if complaint := connection_complaint(text, self._allowed, host=host):
            self.refusal = complaint
            raise Refused(complaint)
