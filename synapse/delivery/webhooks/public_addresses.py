"""Which IP addresses belong to the public internet.

Written down from IANA's registries of special-purpose addresses (RFC 6890, as of 2026). Python's `is_global` follows
them by version, and says yes to multicast and to addresses that carry a private IPv4 address inside, which a gateway on
the way may unwrap.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # RFC 791: this network
        "10.0.0.0/8",  # RFC 1918: private
        "100.64.0.0/10",  # RFC 6598: shared by the customers of a provider
        "127.0.0.0/8",  # RFC 1122: loopback
        "168.63.129.16/32",  # the platform's own services, in one large cloud
        "169.254.0.0/16",  # RFC 3927: link-local, with the metadata services of clouds
        "172.16.0.0/12",  # RFC 1918
        "192.0.0.0/24",  # RFC 6890: protocol assignments
        "192.0.2.0/24",  # RFC 5737: documentation
        "192.88.99.0/24",  # RFC 7526: relays to 6to4
        "192.168.0.0/16",  # RFC 1918
        "198.18.0.0/15",  # RFC 2544: benchmarks
        "198.51.100.0/24",  # RFC 5737
        "203.0.113.0/24",  # RFC 5737
        "224.0.0.0/4",  # RFC 5771: multicast
        "240.0.0.0/4",  # RFC 1112: reserved, and broadcast
    )
)
# RFC 4291, 2.4, and IANA's IPv6 address space: nothing else is assigned to hosts of the internet.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # RFC 2928: protocol assignments, such as Teredo and ORCHID
        "2001:db8::/32",  # RFC 3849: documentation
        "3fff::/20",  # RFC 9637: documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_6TO4 = IPv6Network("2002::/16")  # RFC 3056
# The upper half of an interface identifier that ends in an IPv4 address (RFC 5214, 6.1), which may be unique or not.
_ISATAP = frozenset((0x00005EFE, 0x02005EFE))


def complaint(address: Address) -> str:
    """Return why an address is not one of the public internet, "" when it is."""
    for inner in _carried(address):
        if why := complaint(inner):
            return f"{why} (inside {address})"
    return "" if _is_public(address) else f"{address} is not an address of the public internet"


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


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    # These two lead to the IPv4 address that they carry, and nowhere else.
    if address.ipv4_mapped is not None or address in _NAT64:
        return True
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_IPV6)


def _carried(address: Address) -> Iterator[IPv4Address]:
    """Give the IPv4 addresses that an IPv6 address may be unwrapped to."""
    if isinstance(address, IPv4Address):
        return
    if address in _6TO4:
        yield IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
