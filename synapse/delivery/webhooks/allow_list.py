"""What SYNAPSE_WEBHOOK_ALLOW opens: hosts and networks beside the public internet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from synapse.delivery.webhooks.public_addresses import Address, Network

_HOST = re.compile(r"(?:\*\.)?(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*", re.IGNORECASE)
_ONLY_NUMBERS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Hosts by their names (`*.` stands for any name below), and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def host(self, name: str) -> bool:
        """Say whether a host's name is one of them."""
        parts = name.lower().split(".")
        below = (f"*.{'.'.join(parts[at:])}" for at in range(1, len(parts)))
        return name.lower() in self.hosts or any(pattern in self.hosts for pattern in below)

    def address(self, address: Address) -> bool:
        """Say whether an address is in one of the networks."""
        return any(address in network for network in self.networks if network.version == address.version)


def read(entries: Sequence[str]) -> Allowed:
    """Return what a list of host names, addresses and networks allows.

    Raises:
        ValueError: when an entry is none of them.
    """
    hosts, networks = [], []
    for entry in entries:
        try:
            networks.append(ip_network(entry))
        except ValueError:
            if not _HOST.fullmatch(entry) or _ONLY_NUMBERS.fullmatch(entry):
                raise ValueError(
                    "host names (*.example.com for those below), addresses, and networks such as 10.0.0.0/8, "
                    "separated by commas"
                ) from None
            hosts.append(entry.lower())
    return Allowed(hosts=frozenset(hosts), networks=tuple(networks))
