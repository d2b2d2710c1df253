"""The URLs and addresses that a webhook may call: the public internet, and those that SYNAPSE_WEBHOOK_ALLOW allows.

The networks are those of IANA's registries of special-purpose addresses (RFC 6890, as of 2026). Python's `is_global` is
not used: it differs by version, and is true for multicast and for IPv6 addresses with an embedded private IPv4 address,
which a gateway may unwrap. URLs are parsed here alone, with a grammar narrower than RFC 3986: URLs that two parsers
could understand differently are refused.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

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
# The only range with addresses of hosts on the internet (RFC 4291, 2.4, and IANA's IPv6 address space).
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


def address_complaint(address: Address) -> str:
    """Return the reason that an address is not one of the public internet, "" when it is."""
    for inner in _embedded_ipv4(address):
        if why := address_complaint(inner):
            return f"{why} (inside {address})"
    return "" if _is_public(address) else f"{address} is not an address of the public internet"


def plain_address(text: str) -> Address | None:
    """Parse an IP address; None for other texts, and for addresses with a zone. An IPv4 address that is mapped into
    IPv6 (RFC 4291, 2.5.5.2) is returned as the IPv4 address.
    """
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
    # These two always lead to the embedded IPv4 address, which the caller checks.
    if address.ipv4_mapped is not None or address in _NAT64:
        return True
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_IPV6)


def _embedded_ipv4(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a gateway may unwrap from an IPv6 address."""
    if isinstance(address, IPv4Address):
        return
    if address in _6TO4:
        yield IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64 or int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


_HOST = re.compile(r"(?:\*\.)?(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*", re.IGNORECASE)
_ONLY_NUMBERS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The hosts and networks that are allowed. A host name that begins with `*.` stands for all names below it."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allows_host(self, name: str) -> bool:
        """Say whether a host's name is one of them."""
        parts = name.lower().split(".")
        below = (f"*.{'.'.join(parts[at:])}" for at in range(1, len(parts)))
        return name.lower() in self.hosts or any(pattern in self.hosts for pattern in below)

    def allows_address(self, address: Address) -> bool:
        """Say whether an address is in one of the networks."""
        return any(address in network for network in self.networks if network.version == address.version)


def read_allowed(entries: Sequence[str]) -> Allowed:
    """Parse a list of allowed host names, addresses and networks.

    Raises:
        ValueError: when an entry is neither a name, an address nor a network.
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


def connection_complaint(text: str, allowed: Allowed, *, host: str = "") -> str:
    """Return the reason that an address of the host with this name must not be connected to, "" when it may be."""
    if host and allowed.allows_host(host):
        return ""
    address = plain_address(text)
    if address is None:
        return f"{text[:100]} is no address that can be checked"
    if allowed.allows_address(address) or not (why := address_complaint(address)):
        return ""
    return f"{host} resolves to what must not be used: {why}" if host else why


LONGEST = 2000
PORTS = (443, 8443)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:/[!-~]*)?(?:\?[!-~]*)?)"
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# The last label of a host that a resolver may parse as an IPv4 address (WHATWG URL, 3.5: ends in a number).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_STRANGE = re.compile(r"[\\#<>\"{}|^`]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The target of requests. `address` is the host's IP address, None when the URL has a host name."""

    url: str
    secure: bool
    host: str
    port: int
    address: Address | None


class BadTarget(ValueError):
    """Nothing may be sent to this URL; the message is the end of a sentence that begins with the setting."""


def read_target(url: str, allowed: Allowed) -> Target:
    """Parse and check a URL.

    Raises:
        BadTarget: when nothing may be sent there, to any address of its name.
    """
    _check_text(url)
    found = _URL.fullmatch(url)
    if found is None:
        raise BadTarget("must be a URL such as https://example.com/events")
    host = found["host"].strip("[]")
    address = plain_address(host)
    if address is None:
        _check_name(host, in_brackets=found["host"].startswith("["))
    secure = found["scheme"] == "https"
    port = int(found["port"] or (443 if secure else 80))
    if not 1 <= port <= 65535:
        raise BadTarget("must have a port from 1 to 65535")
    if not _is_allowed(host, address, allowed):
        _check_public(host, address, secure=secure, port=port)
    return Target(url=url, secure=secure, host=host, port=port, address=address)


def _check_text(url: str) -> None:
    if len(url) > LONGEST:
        raise BadTarget(f"is longer than {LONGEST} characters")
    if not url.isascii():
        raise BadTarget("must be ASCII: write a host name in Punycode, and %-encode the rest")
    if strange := _STRANGE.search(url):
        raise BadTarget(f"must not hold {strange[0]!r}")
    if "@" in url.partition("://")[2].partition("/")[0].partition("?")[0]:
        raise BadTarget("must not hold a user or a password: use a header")


def _check_name(host: str, *, in_brackets: bool) -> None:
    labels = host.split(".")
    if in_brackets or _NUMBER.fullmatch(labels[-1]):
        raise BadTarget(f"has a host, {host}, that is neither a name nor an address in its usual form")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadTarget(f"has a host, {host[:100]}, that is not a valid host name")


def _is_allowed(host: str, address: Address | None, allowed: Allowed) -> bool:
    return allowed.allows_host(host) if address is None else allowed.allows_address(address)


def _check_public(host: str, address: Address | None, *, secure: bool, port: int) -> None:
    hint = "; SYNAPSE_WEBHOOK_ALLOW can allow its host"
    if not secure:
        raise BadTarget(f"must begin with https://{hint}")
    if port not in PORTS:
        raise BadTarget(f"must have port {' or '.join(map(str, PORTS))}{hint}")
    # RFC 6761, 6.3: these names never leave the machine.
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        raise BadTarget(f"must not lead to this machine{hint}")
    if address is not None and (why := address_complaint(address)):
        raise BadTarget(f"must not be used: {why}{hint}")
