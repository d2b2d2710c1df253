"""Who is calling, and what they may do. For now everybody may, and is `ANONYMOUS`: rules will be added here."""

from typing import Any

from rest_framework.authentication import BaseAuthentication

from core.principal import ANONYMOUS, Principal


def identify(headers: Any) -> Principal:
    """Return the principal of a request, from its headers (lower-case names)."""
    return ANONYMOUS


def principal_of(request: Any) -> Principal:
    """Return who `PrincipalAuthentication` found to be calling."""
    principal: Principal = request.user
    return principal


class PrincipalAuthentication(BaseAuthentication):
    """Puts the principal where REST framework keeps the user: `request.user`."""

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        return identify({name.lower(): text for name, text in request.headers.items()}), None
