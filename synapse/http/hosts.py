"""Checks of a request's Host header (RFC 9112, 3.2), and whether a page of another site sent the request."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from synapse.problems import BadRequest

# Headers that browsers add to requests, and that pages cannot forge: the page's origin (Fetch standard, 3.2) and its
# relation to the target (W3C Fetch Metadata Request Headers, 2.3).
ORIGIN, SITE = "origin", "sec-fetch-site"
BROWSERS_OWN = frozenset((ORIGIN, SITE))
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
# `none`: the person caused the request, for example with a bookmark.
_OWN_SITES = frozenset(("same-origin", "none"))
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_foreign(method: str, headers: Mapping[str, str], *, scheme: str, allowed: Collection[str]) -> bool:
    """Say whether a request may change something and was sent by a page of a foreign origin that is not allowed.

    Args:
        headers: the headers, by lower-case names; X-Forwarded-… only if they are from a trusted proxy.
        scheme: the scheme of the connection, unless the proxy names another.
        allowed: allowed origins, in the notation of browsers.
    """
    return method not in SAFE_METHODS and is_foreign_origin(headers, scheme=scheme, allowed=allowed)


def is_foreign_origin(headers: Mapping[str, str], *, scheme: str, allowed: Collection[str]) -> bool:
    """Say whether a request was sent by a page of a foreign origin that is not allowed; the arguments are as for
    `is_foreign`.
    """
    if BROWSERS_OWN.isdisjoint(headers):
        return False
    origin = headers.get(ORIGIN)
    if origin in allowed:
        return False
    # Preferred, because the browser compared the real addresses, while a proxy may have changed the Host header.
    if (site := headers.get(SITE)) is not None:
        return site.strip().lower() not in _OWN_SITES
    return origin not in _own_origins(headers, scheme)


def _own_origins(headers: Mapping[str, str], scheme: str) -> set[str]:
    scheme = headers.get("x-forwarded-proto", scheme).partition(",")[0].strip().lower()
    hosts = (headers.get(name, "").partition(",")[0].strip().lower() for name in ("host", "x-forwarded-host"))
    return {f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}" for host in hosts if host}


# RFC 3986, 3.2.2 and 3.2.3.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.]+\])(?::[0-9]*)?")
# The part of it that names a server: RFC 1123, 2.1, or an address.
_SERVER = re.compile(r"(?:[a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::[0-9]+)?", re.IGNORECASE)
# The forms of an entry of ALLOWED_HOSTS: a name, all names below one, an address, or every host.
_ALLOWED = re.compile(r"\.?[a-z0-9-][a-z0-9.-]*|\[[a-f0-9]*:[a-f0-9.:]+\]|\*", re.IGNORECASE)
# Splits a host and its port like Django (`django.http.request.split_domain_port`); a test compares both.
_HOST_AND_PORT = re.compile(r"([a-z0-9.-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(?::([0-9]+))?")
_NO_UNDERSCORE = "a host name cannot have an underscore (RFC 1123, 2.1): give the server an alias without one"


def is_authority(host: str) -> bool:
    """Say whether a Host header is well formed; it may be empty."""
    return _AUTHORITY.fullmatch(host) is not None


@lru_cache(maxsize=256)
def is_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Say whether a Host header names a host that one of the entries allows, on any port.

    Args:
        host: the header's value.
        allowed: a tuple of host names, of “.” followed by a domain (it and all names below), or “*”.
    """
    match = _HOST_AND_PORT.fullmatch(host.lower())
    name = match[1].removesuffix(".") if match else ""
    return bool(name) and any(entry == "*" or _matches_entry(name, entry.lower()) for entry in allowed)


def bad_host(host: str) -> BadRequest:
    """Return the problem for a request whose host is not allowed."""
    shown = f"The host “{host[:100]}”"
    if not host:
        return BadRequest("The request names no host. Send a Host header with a name that is in ALLOWED_HOSTS.")
    if _SERVER.fullmatch(host):
        return BadRequest(f"{shown} is not in ALLOWED_HOSTS.")
    if _SERVER.fullmatch(host.replace("_", "-")):
        return BadRequest(f"{shown} is not accepted: {_NO_UNDERSCORE}.")
    return BadRequest(f"{shown} is no host name or address, with or without a port.")


def allowed_host_error(entry: str) -> str:
    """Return the reason that an entry of ALLOWED_HOSTS cannot match any host, "" when it can."""
    if _ALLOWED.fullmatch(entry):
        return ""
    if _ALLOWED.fullmatch(entry.replace("_", "-")):
        return _NO_UNDERSCORE
    if entry.startswith("*."):
        return f"all names below one are written “{entry[1:]}”"
    return "an entry is a host name, “.” and a domain, an address ([..] around one of IPv6), or “*”: no scheme, no port"


def _matches_entry(name: str, entry: str) -> bool:
    if entry.startswith("."):
        return name.endswith(entry) or name == entry[1:]
    return name == entry
