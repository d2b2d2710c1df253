"""Which hosts a request may ask for, on the event loop and in Django alike.

A page of another site whose name leads to this machine (DNS rebinding) names its own host: it is refused. Health checks
and scrapers ask by an address that nobody knows before. The health routes tell nothing of events, and a page of
another site shows no key: these requests may name any host.
"""

from collections.abc import Mapping

from synapse.http.hosts import bad_host, is_allowed, is_authority
from synapse.problems import Problem
from synapse.server.config import ServerConfig

Headers = Mapping[str, str]

HEALTH_PATHS = frozenset(("/health", "/healthz", "/readyz"))
_METRICS_PATH = "/metrics"


def check_host(config: ServerConfig, path: str, headers: Headers, *, version: str = "1.1") -> None:
    """Refuse a request for a host that is not ours.

    Args:
        headers: by lower-case names.
        version: of HTTP: 1.1 has to name a host (RFC 9112, 3.2), 1.0 has no such header.

    Raises:
        BadRequest: when its host is not in ALLOWED_HOSTS, and it is not one that may name any.
    """
    host = headers.get("host", "")
    if not _is_ours(config, host) and not may_name_any_host(config, path, headers, version=version):
        raise bad_host(host)


def may_name_any_host(config: ServerConfig, path: str, headers: Headers, *, version: str) -> bool:
    """Say whether a request is a probe or a scrape, and names a host in good form where it has to."""
    if version != "1.0" and "host" not in headers:
        return False
    if not is_authority(headers.get("host", "")):
        return False  # such as two of them
    path = path.removesuffix("/")
    return path in HEALTH_PATHS or (path == _METRICS_PATH and _shows_credentials(config, headers))


def forwarded_host(config: ServerConfig, headers: Headers) -> str:
    """Return the host that the request had before a trusted proxy changed it, "" when that is not ours either."""
    host = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    return host if _is_ours(config, host) and is_authority(headers.get("host", " ")) else ""


def may_be_named_otherwise(config: ServerConfig, path: str, headers: Headers, *, version: str) -> bool:
    """Say whether a request for a host that is not ours is a probe or a scrape all the same."""
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
