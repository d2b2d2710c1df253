"""Which requests of other sites' pages a browser lets through (Fetch standard, 4.8)."""

from collections.abc import Mapping

from synapse.http.exchange import Response
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
