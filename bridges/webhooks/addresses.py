"""Which IP addresses belong to the public internet. Pure.

Python's `is_global` is where it begins. It says yes to multicast, to addresses that carry an IPv4 address inside (which
a gateway on the way may unwrap), and to some ranges that are local in practice; those are named here.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LOCAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # RFC 6890: protocol assignments
        "192.88.99.0/24",  # RFC 7526: relays to 6to4
        "168.63.129.16/32",  # the platform's own services, in one large cloud
        "64:ff9b:1::/48",  # RFC 8215: translation inside one network
        "100::/64",  # RFC 6666: discard
        "3fff::/20",  # RFC 9637: documentation
        "5f00::/16",  # RFC 9602: segment routing
        "fec0::/10",  # RFC 3879: what was site-local
    )
)
# Where the last 32 bits are an IPv4 address: IPv4-compatible (RFC 4291, 2.5.5.1) and NAT64 (RFC 6052).
_ENDING_IN_IPV4 = (IPv6Network("::/96"), IPv6Network("64:ff9b::/96"))


def complaint(address: Address) -> str:
    """Return why an address is not one of the public internet, "" when it is."""
    for inner in _inside(address):
        if why := complaint(inner):
            return f"{why} (inside {address})"
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    if not mapped and (not address.is_global or address.is_multicast or _is_local(address)):
        return f"{address} is not an address of the public internet"
    return ""


def plain(text: str) -> Address | None:
    """Return the address that a text is, without a zone; None when it is none. An IPv4 address that is mapped into
    IPv6 (RFC 4291, 2.5.5.2) is the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_local(address: Address) -> bool:
    return any(address in network for network in _LOCAL if network.version == address.version)


def _inside(address: Address) -> Iterator[IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if any(address in network for network in _ENDING_IN_IPV4):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
