"""Authentication for Django REST framework: the principal of a request becomes `request.user`."""

from collections.abc import Mapping
from dataclasses import replace
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication

from streams.access.identification import has_only_session, identify
from synapse.auth.api_key import AUTHORIZATION
from synapse.auth.key_rights import ScopesAlone
from synapse.auth.permission import person_of
from synapse.auth.principal import Principal


def principal_of(request: Any) -> Principal:
    """Return the principal that `PrincipalAuthentication` put on the request."""
    principal: Principal = request.user
    return principal


def authenticate_request(request: HttpRequest) -> Principal:
    """Return the principal of a Django request: by its key, or by a session of the admin where a key is required and
    none is sent.

    Raises:
        Unauthenticated: as `identify` does.
        rest_framework.exceptions.PermissionDenied: when a request with a session could change something and has no CSRF
            token of Django: a page of another site may have sent it.
    """
    headers = {name.lower(): text for name, text in request.headers.items()}
    address = request.META.get("REMOTE_ADDR", "")
    if has_only_session(headers) and request.user.is_authenticated:
        SessionAuthentication().enforce_csrf(request)  # type: ignore[arg-type]  # it needs only these attributes
        return replace(person_of(request.user, address=address), session=request.session.session_key or "")
    return identify(headers, address=address)


class PrincipalAuthentication(BaseAuthentication):
    """Authenticates a request with `authenticate_request`."""

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        return authenticate_request(request._request), None


def shows_metrics_token(headers: Mapping[str, str]) -> bool:
    """Say whether a request carries SYNAPSE_METRICS_TOKEN. Header names are in lower case."""
    token, shown = settings.METRICS_TOKEN, headers.get(AUTHORIZATION, "")
    return bool(token) and compare_digest(shown.encode(), f"Bearer {token}".encode())


class MetricsAuthentication(PrincipalAuthentication):
    """Also accepts SYNAPSE_METRICS_TOKEN, for the metrics view only."""

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        if shows_metrics_token({AUTHORIZATION: request._request.headers.get("Authorization", "")}):
            address = request._request.META.get("REMOTE_ADDR", "")
            rights = ScopesAlone("metrics:read")
            return Principal(kind="service", name="metrics", address=address, rights=rights), None
        return super().authenticate(request)
