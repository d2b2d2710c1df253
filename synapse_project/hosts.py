"""Which hosts a request may ask for, on the event loop and in Django alike.

A page of another site whose name leads to this machine (DNS rebinding) names its own host: it is refused. Health checks
and scrapers ask by an address that nobody knows before. The health routes tell nothing of events, and a page of
another site shows no key: these requests may name any host.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from streams import access
from synapse.http.hosts import allowed_host_mistake, bad_host, is_authority
from synapse.problems import Problem

Headers = Mapping[str, str]

HEALTH_PATHS = frozenset(("/health", "/healthz", "/readyz"))
_METRICS_PATH = "/metrics"


def check_host(path: str, headers: Headers, *, version: str = "1.1") -> None:
    """Refuse a request for a host that is not ours.

    Args:
        headers: by lower-case names.
        version: of HTTP: 1.1 has to name a host (RFC 9112, 3.2), 1.0 has no such header.

    Raises:
        BadRequest: when its host is not in ALLOWED_HOSTS, and it is not one that may name any.
    """
    host = headers.get("host", "")
    if not _is_ours(host) and not may_name_any_host(path, headers, version=version):
        raise bad_host(host)


def may_name_any_host(path: str, headers: Headers, *, version: str) -> bool:
    """Say whether a request is a probe or a scrape, and names a host in good form where it has to."""
    if version != "1.0" and "host" not in headers:
        return False
    if not is_authority(headers.get("host", "")):
        return False  # such as two of them
    path = path.removesuffix("/")
    return path in HEALTH_PATHS or (path == _METRICS_PATH and _shows_credentials(headers))


def forwarded_host(headers: Headers) -> str:
    """Return the host that the request had before a trusted proxy changed it, "" when that is not ours either."""
    host = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    return host if _is_ours(host) and is_authority(headers.get("host", " ")) else ""


def serve_any_host(request: HttpRequest) -> None:
    """Let Django serve a request that may name any host: it asks all views for a host that is ours."""
    path = request.path_info.removesuffix("/")
    if path not in HEALTH_PATHS and path != _METRICS_PATH:
        return
    headers = {name.lower(): text for name, text in request.headers.items()}
    version = request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    if not _is_ours(headers.get("host", "")) and may_name_any_host(path, headers, version=version):
        request.META["HTTP_HOST"] = "localhost"


def check_allowed_hosts(app_configs: Sequence[Any] | None = None, **options: Any) -> list[CheckMessage]:
    """Warn of each entry of ALLOWED_HOSTS that matches no host (Django's system checks)."""
    mistakes = ((entry, allowed_host_mistake(entry)) for entry in settings.ALLOWED_HOSTS)
    return [
        Warning(f"ALLOWED_HOSTS: “{entry}” matches no host: {mistake}.", id="synapse.W001")
        for entry, mistake in mistakes
        if mistake
    ]


@lru_cache(maxsize=256)
def _is_ours(host: str) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _shows_credentials(headers: Headers) -> bool:
    if access.shows_metrics_token(headers):
        return True
    try:
        return bool(access.identify(headers).key)
    except Problem:
        return False
