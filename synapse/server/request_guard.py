"""Checks of a request before it is handled: host, client address, rate limits, CORS (Fetch standard, 4.8), proxies.

Hosts: a page of another site whose name resolves to this machine (DNS rebinding) sends its own host, and is refused.
Health checks and scrapers use addresses that are not known in advance. The health routes reveal nothing about events,
and a page of another site has no key, so these requests may name any host.

Rates: a token bucket for each address, and one for each key, in Redis. One round trip counts a request, in any process;
without a rate, Redis is not asked. When Redis does not answer, no request is refused because of that: requests that
need Redis fail by themselves, and the others must not depend on it. The headers are those of
draft-ietf-httpapi-ratelimit-headers, 10; the status is that of RFC 6585, 4.

Proxies: each process reports an untrusted proxy once, because all its callers count as one address.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from synapse.auth.client_ip import FORWARDING, one_caller
from synapse.errors.streams import TooManyRequests
from synapse.formats.durations import Rate
from synapse.http.exchange import Response
from synapse.http.hosts import BROWSERS_OWN, ORIGIN, bad_host, is_allowed, is_authority, is_foreign_origin
from synapse.http.hosts import is_foreign as is_foreign_page
from synapse.problems import ForeignOrigin, Problem
from synapse.redis import Conversation, RedisUnavailable, ReplyError
from synapse.redis.commands.shared_values import take_token
from synapse.server.config import Headers, Scope, ServerConfig

logger = logging.getLogger(__name__)

HEALTH_PATHS = frozenset(("/health", "/healthz", "/readyz"))
_METRICS_PATH = "/metrics"


def check_host(config: ServerConfig, path: str, headers: Headers, *, version: str = "1.1") -> None:
    """Refuse a request for a host that is not allowed.

    Args:
        headers: by lower-case names.
        version: the version of HTTP. 1.1 requires a host (RFC 9112, 3.2), 1.0 has no such header.

    Raises:
        BadRequest: when its host is not in ALLOWED_HOSTS, and the request may not name any host.
    """
    host = headers.get("host", "")
    if not _is_ours(config, host) and not may_name_any_host(config, path, headers, version=version):
        raise bad_host(host)


def may_name_any_host(config: ServerConfig, path: str, headers: Headers, *, version: str) -> bool:
    """Say whether a request is a health check or a scrape, with a well-formed host if it needs one."""
    if version != "1.0" and "host" not in headers:
        return False
    if not is_authority(headers.get("host", "")):
        return False  # for example, two host headers
    path = path.removesuffix("/")
    return path in HEALTH_PATHS or (path == _METRICS_PATH and _shows_credentials(config, headers))


def forwarded_host(config: ServerConfig, headers: Headers) -> str:
    """Return the host that the request had before a trusted proxy changed it, "" if that host is not allowed either."""
    host = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    return host if _is_ours(config, host) and is_authority(headers.get("host", " ")) else ""


def may_be_named_otherwise(config: ServerConfig, path: str, headers: Headers, *, version: str) -> bool:
    """Say whether a request for another host is a health check or a scrape."""
    bare = path.removesuffix("/")
    if bare not in HEALTH_PATHS and bare != _METRICS_PATH:
        return False
    return not _is_ours(config, headers.get("host", "")) and may_name_any_host(config, bare, headers, version=version)


def _is_ours(config: ServerConfig, host: str) -> bool:
    return is_allowed(host, config.allowed_hosts)


def _shows_credentials(config: ServerConfig, headers: Headers) -> bool:
    if config.shows_metrics_token(headers):
        return True
    try:
        return bool(config.identify(headers).key)
    except Problem:
        return False


_ASKED_METHOD = "access-control-request-method"


def answer_preflight(config: ServerConfig, method: str, headers: Mapping[str, str]) -> Response | None:
    """Return the response to a preflight request, with which a browser asks whether a page may send a request. Return
    None for any other request.

    Another function adds the headers that every response to an allowed page has, such as the origin.
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


_MEANS = (
    "its headers about the caller are ignored, so all its clients count as one caller: they share one address, one "
    "rate and one share of connections, memory and threads"
)


class ProxyWarning:
    """Writes its warning once, however often it is called."""

    def __init__(self) -> None:
        self._is_written = False

    def write(self, peer: str) -> None:
        """Warn that forwarding headers came from an address that is not a trusted proxy."""
        if not self._is_written:
            self._is_written = True
            logger.warning(
                "A request from %s has forwarding headers (such as X-Forwarded-For), and SYNAPSE_TRUSTED_PROXIES does "
                "not name that address. If it is a proxy, %s. Set it to the addresses of your proxies.",
                peer,
                _MEANS,
            )

    def write_at_start(self, config: ServerConfig) -> None:
        """Warn when a setting implies a proxy, and no proxy is trusted."""
        origins = [origin for origin in config.csrf_trusted_origins if origin.startswith("https://")]
        if origins and not config.trusted_proxies.networks:
            logger.warning(
                "People come by %s, so a proxy speaks TLS, and SYNAPSE_TRUSTED_PROXIES names none: %s. Set it to the "
                "addresses of your proxies.",
                origins[0],
                _MEANS,
            )


warning = ProxyWarning()


# The key that tells Django's middleware that the front door has counted the request.
COUNTED = "synapse.counted"


def resolve_client(config: ServerConfig, scope: Scope, headers: dict[str, str]) -> tuple[Scope, dict[str, str]]:
    """Return the request with the client's address, and with forwarding headers only from trusted proxies."""
    peer = (scope.get("client") or ("", 0))[0]
    if FORWARDING.isdisjoint(headers):
        return scope, headers
    if config.trusted_proxies.has(peer):
        address = config.trusted_proxies.client_address(peer, headers.get("x-forwarded-for", ""))
        scope = {**scope, "client": (address, 0)}
        if host := forwarded_host(config, headers):
            pairs = [pair for pair in scope["headers"] if pair[0] != b"host"]
            return {**scope, "headers": [(b"host", host.encode()), *pairs]}, {**headers, "host": host}
        return scope, headers
    warning.write(peer)
    names = {name.encode() for name in FORWARDING}
    pairs = [(name, text) for name, text in scope["headers"] if name not in names]
    return {**scope, "headers": pairs}, {name: text for name, text in headers.items() if name not in FORWARDING}


def is_foreign(config: ServerConfig, method: str, headers: Headers, *, scheme: str) -> bool:
    """Say whether a request must be refused because a page of another site sent it.

    With open access, such a page needs no key, and browsers add Basic credentials by themselves. Django's CSRF token
    protects sessions, and any other key has to be known to the page.
    """
    if BROWSERS_OWN.isdisjoint(headers):
        return False
    if not config.is_open and not headers.get("authorization", "").lower().startswith("basic"):
        return False
    allowed = (*config.cors_allowed_origins, *config.csrf_trusted_origins)
    return is_foreign_page(method, headers, scheme=scheme, allowed=allowed)


def check_origin(config: ServerConfig, method: str, headers: Headers, *, scheme: str) -> None:
    """Refuse a request that `is_foreign`.

    Raises:
        ForeignOrigin: when a page of another site sent the request.
    """
    if is_foreign(config, method, headers, scheme=scheme):
        raise ForeignOrigin(headers.get(ORIGIN))


def check_page(config: ServerConfig, headers: Headers, *, scheme: str) -> None:
    """Refuse a WebSocket handshake that a page of another site sent, even with a valid key: a browser sends no
    preflight request before it opens a WebSocket (RFC 6455, 10.2).

    Raises:
        ForeignOrigin: when the page's origin is neither this server's nor allowed.
    """
    allowed = (*config.cors_allowed_origins, *config.csrf_trusted_origins)
    if is_foreign_origin(headers, scheme=scheme, allowed=allowed):
        raise ForeignOrigin(headers.get(ORIGIN))


def has_rates(config: ServerConfig) -> bool:
    """Say whether any rate limit is set."""
    return config.rate_per_address is not None or config.rate_per_key is not None


async def count_request(config: ServerConfig, scope: Scope, headers: Headers) -> dict[str, str]:
    """Count a request on the event loop. Return the headers that show the caller's remaining requests.

    Raises:
        TooManyRequests: when no request is left.
    """
    merged: dict[str, str] = {}
    if not has_rates(config):
        return merged
    for conversation in _counting_conversations(config, scope["path"], (scope.get("client") or ("", 0))[0], headers):
        _merge_headers(merged, await config.async_executor().run(conversation))
    return merged


def count_in_thread(
    config: ServerConfig, path: str, address: str, headers: Headers, run: Callable[[Any], Headers]
) -> dict[str, str]:
    """Count a request in a thread, as `count_request` does on the event loop.

    Raises:
        TooManyRequests: when no request is left.
    """
    merged: dict[str, str] = {}
    for conversation in _counting_conversations(config, path, address, headers):
        _merge_headers(merged, run(conversation))
    return merged


def _merge_headers(merged: dict[str, str], more: Headers) -> None:
    """Merge the headers of one bucket into those of the others: both headers are lists (RFC 9651)."""
    for name, text in more.items():
        merged[name] = f"{merged[name]}, {text}" if name in merged else text


def _counting_conversations(config: ServerConfig, path: str, address: str, headers: Headers) -> Iterator[Any]:
    """Yield the conversations that count a request, one after the other: a key is counted only if its sender's address
    is within its rate.
    """
    if path.rstrip("/") in HEALTH_PATHS:
        return  # health checks are frequent, and a 429 would look like a dead server
    if config.rate_per_address is not None:
        yield take_request("address", one_caller(address), config.rate_per_address)
    if config.rate_per_key is not None and (key := _key_of(config, headers)):
        yield take_request("key", key, config.rate_per_key)


def _key_of(config: ServerConfig, headers: Headers) -> str:
    try:
        return config.identify(headers).key
    except Problem:
        return ""  # a later step refuses the key; the address was counted


Kind = Literal["address", "key"]


def take_request(kind: Kind, whose: str, rate: Rate) -> Conversation[Headers]:
    """Count a request of a caller. Return the headers with the remaining requests, none when Redis cannot count.

    Raises:
        TooManyRequests: when no request is left.
    """
    try:
        (taken,) = yield [take_token(kind, whose, count=rate.count, seconds=rate.seconds)]
    except RedisUnavailable:
        return {}
    if isinstance(taken, ReplyError):
        return {}
    headers = {
        "ratelimit-policy": f'"{kind}";q={rate.count};w={rate.seconds}',
        "ratelimit": f'"{kind}";r={taken.left};t={math.ceil(taken.full)}',
    }
    if not taken.allowed:
        raise TooManyRequests(kind, rate, after=math.ceil(taken.again), headers=headers)
    return headers
