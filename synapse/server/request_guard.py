"""Guard a request before it is handled: client address, rate limits, CORS (Fetch standard, 4.8), proxies.

An untrusted proxy is reported once for each process: all its callers would count as one address.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from synapse.auth.client_ip import FORWARDING, one_caller
from synapse.http import hosts as http_hosts
from synapse.http.exchange import Response
from synapse.problems import ForeignOrigin, Problem
from synapse.server import hosts, rate_limit
from synapse.server.config import ServerConfig

_ASKED_METHOD = "access-control-request-method"


def preflight(config: ServerConfig, method: str, headers: Mapping[str, str]) -> Response | None:
    """Return the answer to a browser that asks whether a page may send a request; None for any other request.

    The headers that every answer to an allowed page has, such as the origin, are added to it elsewhere.
    """
    if method != "OPTIONS" or _ASKED_METHOD not in headers:
        return None
    allowed = {
        "access-control-allow-headers": ", ".join(config.cors_allow_headers),
        "access-control-allow-methods": ", ".join(config.cors_allow_methods),
        "access-control-max-age": str(config.cors_preflight_seconds),
    }
    is_allowed = headers.get("origin") in config.cors_allowed_origins
    return Response(content_type="text/plain", headers=allowed if is_allowed else {})


logger = logging.getLogger(__name__)

_MEANS = (
    "what it says of who asks is ignored, so all who come through it are one caller: they have one address, one rate "
    "and one share of connections, memory and threads together"
)


class ProxyWarning:
    """Writes one line, however often it is asked to."""

    def __init__(self) -> None:
        self._is_written = False

    def write(self, peer: str) -> None:
        """Warn that forwarding headers came from an address that is no trusted proxy."""
        if not self._is_written:
            self._is_written = True
            logger.warning(
                "A request from %s has forwarding headers (such as X-Forwarded-For), and SYNAPSE_TRUSTED_PROXIES does "
                "not name that address. If it is a proxy, %s. Set it to the addresses of your proxies.",
                peer,
                _MEANS,
            )

    def write_at_start(self, config: ServerConfig) -> None:
        """Warn when the settings speak of a proxy, and none is trusted."""
        origins = [origin for origin in config.csrf_trusted_origins if origin.startswith("https://")]
        if origins and not config.trusted_proxies.networks:
            logger.warning(
                "People come by %s, so a proxy speaks TLS, and SYNAPSE_TRUSTED_PROXIES names none: %s. Set it to the "
                "addresses of your proxies.",
                origins[0],
                _MEANS,
            )


warning = ProxyWarning()


Scope = Mapping[str, Any]
Headers = Mapping[str, str]

# Tells Django's middleware that the front door has counted the request.
COUNTED = "synapse.counted"


def seen(config: ServerConfig, scope: Scope, headers: dict[str, str]) -> tuple[Scope, dict[str, str]]:
    """Return the request as it is known here: with the address of who asks, and only with what a trusted proxy says."""
    peer = (scope.get("client") or ("", 0))[0]
    if FORWARDING.isdisjoint(headers):
        return scope, headers
    if config.trusted_proxies.has(peer):
        address = config.trusted_proxies.client(peer, headers.get("x-forwarded-for", ""))
        scope = {**scope, "client": (address, 0)}
        if host := hosts.forwarded_host(config, headers):
            pairs = [pair for pair in scope["headers"] if pair[0] != b"host"]
            return {**scope, "headers": [(b"host", host.encode()), *pairs]}, {**headers, "host": host}
        return scope, headers
    warning.write(peer)
    names = {name.encode() for name in FORWARDING}
    pairs = [(name, text) for name, text in scope["headers"] if name not in names]
    return {**scope, "headers": pairs}, {name: text for name, text in headers.items() if name not in FORWARDING}


def is_foreign(config: ServerConfig, method: str, headers: Headers, *, scheme: str) -> bool:
    """Say whether a request is to be refused because a page of another site sent it.

    That page needs no key where access is open, and browsers add the credentials of Basic by themselves. A session is
    safe by Django's CSRF token, and any other key is shown by the page itself.
    """
    if http_hosts.BROWSERS_OWN.isdisjoint(headers):
        return False
    if not config.is_open and not headers.get("authorization", "").lower().startswith("basic"):
        return False
    allowed = (*config.cors_allowed_origins, *config.csrf_trusted_origins)
    return http_hosts.is_foreign(method, headers, scheme=scheme, allowed=allowed)


def check_origin(config: ServerConfig, method: str, headers: Headers, *, scheme: str) -> None:
    """Refuse what `is_foreign` finds.

    Raises:
        ForeignOrigin: when a page of another site sent the request.
    """
    if is_foreign(config, method, headers, scheme=scheme):
        raise ForeignOrigin(headers.get(http_hosts.ORIGIN))


def counts(config: ServerConfig) -> bool:
    """Say whether requests are counted at all."""
    return config.rate_per_address is not None or config.rate_per_key is not None


async def count(config: ServerConfig, scope: Scope, headers: Headers) -> dict[str, str]:
    """Count a request on the event loop. Return the headers that tell its caller what is left.

    Raises:
        TooManyRequests: when nothing is left.
    """
    told: dict[str, str] = {}
    if not counts(config):
        return told
    for conversation in _counts(config, scope["path"], (scope.get("client") or ("", 0))[0], headers):
        _tell(told, await config.async_executor().run(conversation))
    return told


def count_here(
    config: ServerConfig, path: str, address: str, headers: Headers, run: Callable[[Any], Headers]
) -> dict[str, str]:
    """Do the same in a thread.

    Raises:
        TooManyRequests: when nothing is left.
    """
    told: dict[str, str] = {}
    for conversation in _counts(config, path, address, headers):
        _tell(told, run(conversation))
    return told


def _tell(told: dict[str, str], more: Headers) -> None:
    """Add what one bucket says to what others said: both headers are lists (RFC 9651)."""
    for name, text in more.items():
        told[name] = f"{told[name]}, {text}" if name in told else text


def _counts(config: ServerConfig, path: str, address: str, headers: Headers) -> Iterator[Any]:
    """Yield what is counted, one after the other: a key is looked at only when its sender's address may ask."""
    if path.rstrip("/") in hosts.HEALTH_PATHS:
        return  # a probe asks often, and must not take a busy server for a dead one
    if config.rate_per_address is not None:
        yield rate_limit.take("address", one_caller(address), config.rate_per_address)
    if config.rate_per_key is not None and (key := _key(config, headers)):
        yield rate_limit.take("key", key, config.rate_per_key)


def _key(config: ServerConfig, headers: Headers) -> str:
    try:
        return config.identify(headers).key
    except Problem:
        return ""  # refused where it is asked for; its address was counted
