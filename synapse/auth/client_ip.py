"""The IP address of a request's client, behind trusted proxies.

A trusted proxy names its client in X-Forwarded-For. Any client may write such a header too: a header from an untrusted
sender is ignored, and so are the entries left of the last address that belongs to no trusted proxy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# Headers in which a proxy describes the request that it forwards.
FORWARDING = frozenset(
    ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip")
)
# The prefix that identifies one caller: the owner of an IPv6 address has a whole /64 of them (RFC 6177).
_IPV6_BITS = 64
# No real installation has more proxies than this.
_MOST_HOPS = 32


@dataclass(frozen=True, slots=True)
class Proxies:
    """The networks of the proxies that are trusted."""

    networks: Sequence[Network] = ()

    def has(self, address: str) -> bool:
        """Say whether this is the address of a trusted proxy."""
        found = parse_address(address) if self.networks else None
        return found is not None and any(found in network for network in self.networks)

    def client_address(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address, given the address of the connection and the X-Forwarded-For header."""
        if not self.has(peer):
            return peer
        nearest = peer
        for hop in reversed(forwarded_for.split(",")[-_MOST_HOPS:]):
            found = parse_address(_without_port(hop.strip()))
            if found is None:
                break
            nearest = str(found)
            if not self.has(nearest):
                break
        return nearest


def parse_proxies(texts: Sequence[str]) -> Proxies:
    """Parse the addresses and networks (CIDR) of trusted proxies.

    Raises:
        ValueError: when a text is neither an address nor a network.
    """
    return Proxies(tuple(ip_network(text) for text in texts))


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address; an IPv4-mapped IPv6 address gives its IPv4 address, any other text None."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def one_caller(address: str) -> str:
    """Return the text that limits count one caller by: its IPv4 address, or for IPv6 the /64 network, of which a caller
    can use any address.
    """
    found = parse_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> _IPV6_BITS << _IPV6_BITS, _IPV6_BITS)))
    return "nowhere" if found is None else str(found)


def _without_port(hop: str) -> str:
    """Remove the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
