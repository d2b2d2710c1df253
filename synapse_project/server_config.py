"""The web server's configuration, from Django's settings and functions of the apps."""

from django.conf import settings

from core import database
from streams import access, connections
from streams.connections import shares_of
from synapse.server.config import ServerConfig


def server_config() -> ServerConfig:
    """Return the configuration for the current settings."""
    return ServerConfig(
        allowed_hosts=tuple(settings.ALLOWED_HOSTS),
        trusted_proxies=settings.TRUSTED_PROXIES,
        is_open=settings.AUTH == "open",
        max_body_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        hsts_seconds=settings.SECURE_HSTS_SECONDS,
        cors_allowed_origins=settings.CORS_ALLOWED_ORIGINS,
        cors_allow_headers=settings.CORS_ALLOW_HEADERS,
        cors_allow_methods=settings.CORS_ALLOW_METHODS,
        cors_expose_headers=settings.CORS_EXPOSE_HEADERS,
        cors_preflight_seconds=settings.CORS_PREFLIGHT_MAX_AGE,
        csrf_trusted_origins=settings.CSRF_TRUSTED_ORIGINS,
        rate_per_address=settings.RATE_PER_ADDRESS,
        rate_per_key=settings.RATE_PER_KEY,
        identify=access.identify,
        is_session=access.has_only_session,
        shows_metrics_token=access.shows_metrics_token,
        shares_of=shares_of,
        async_executor=connections.async_executor,
        database_problem=database.database_problem,
    )
