"""Which requests of other sites' pages a browser lets through (Fetch standard, 4.8)."""

from collections.abc import Mapping

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.http import HttpRequest

from synapse.http.exchange import Response

_ASKED_METHOD = "access-control-request-method"


def preflight(method: str, headers: Mapping[str, str]) -> Response | None:
    """Return the answer to a browser that asks whether a page may send a request; None for any other request.

    The headers that every answer to an allowed page has, such as the origin, are added to it elsewhere.
    """
    if method != "OPTIONS" or _ASKED_METHOD not in headers:
        return None
    allowed = {
        "access-control-allow-headers": ", ".join(settings.CORS_ALLOW_HEADERS),
        "access-control-allow-methods": ", ".join(settings.CORS_ALLOW_METHODS),
        "access-control-max-age": str(settings.CORS_PREFLIGHT_MAX_AGE),
    }
    is_allowed = headers.get("origin") in settings.CORS_ALLOWED_ORIGINS
    return Response(content_type="text/plain", headers=allowed if is_allowed else {})


class CorsHeaders(CorsMiddleware):
    """Adds the headers to Django's answers. Preflights are answered behind the gate, which counts them."""

    def check_preflight(self, request: HttpRequest) -> None:
        return None
