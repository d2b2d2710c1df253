"""Which URLs may be asked for, before anybody resolved a name.

The grammar is narrower than RFC 3986, and read here alone: what two readers of a URL could understand differently is
refused rather than understood.
"""

import re
from dataclasses import dataclass

from synapse.delivery.webhooks import public_addresses
from synapse.delivery.webhooks.allow_list import Allowed
from synapse.delivery.webhooks.public_addresses import Address

LONGEST = 2000
PORTS = (443, 8443)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:/[!-~]*)?(?:\?[!-~]*)?)"
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
# What a resolver may read as an IPv4 address ends in a number (WHATWG URL, 3.5: ends in a number).
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_STRANGE = re.compile(r"[\\#<>\"{}|^`]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go. `address` is the host's own, None when it has a name."""

    url: str
    secure: bool
    host: str
    port: int
    address: Address | None


class BadTarget(ValueError):
    """Nothing may be sent to this URL; the message says why, as the end of a sentence."""


def read(url: str, allowed: Allowed) -> Target:
    """Return where a URL leads.

    Raises:
        BadTarget: when nothing may be sent there, whatever its name resolves to.
    """
    _check_text(url)
    found = _URL.fullmatch(url)
    if found is None:
        raise BadTarget("must be a URL such as https://example.com/events")
    host = found["host"].strip("[]")
    address = public_addresses.plain(host)
    if address is None:
        _check_name(host, in_brackets=found["host"].startswith("["))
    secure = found["scheme"] == "https"
    port = int(found["port"] or (443 if secure else 80))
    if not 1 <= port <= 65535:
        raise BadTarget("has a port that there cannot be")
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
        raise BadTarget(f"has a host, {host[:100]}, that is no name")


def _is_allowed(host: str, address: Address | None, allowed: Allowed) -> bool:
    return allowed.host(host) if address is None else allowed.address(address)


def _check_public(host: str, address: Address | None, *, secure: bool, port: int) -> None:
    hint = "; SYNAPSE_WEBHOOK_ALLOW can allow its host"
    if not secure:
        raise BadTarget(f"must begin with https://{hint}")
    if port not in PORTS:
        raise BadTarget(f"must have port {' or '.join(map(str, PORTS))}{hint}")
    # RFC 6761, 6.3: these names never leave the machine.
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        raise BadTarget(f"must not lead to this machine{hint}")
    if address is not None and (why := public_addresses.complaint(address)):
        raise BadTarget(f"must not be used: {why}{hint}")
