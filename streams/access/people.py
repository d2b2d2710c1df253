"""People who come with a session of the admin: who they are, and what their Django permissions let them do here."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.http import HttpRequest
from django.http.cookie import parse_cookie

from core.principal import Principal
from core.rights import EVERYTHING, Action

# Sees streams and their figures, whether or not they may publish to or read from them.
STREAMS_READ = "streams:read"
_SEE_STREAMS, _SEE_PAYLOADS = "streams.view_stream", "streams.view_payload"
_CHANGE_STREAMS = "streams.change_stream"
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "catalog:read": (),
    STREAMS_READ: (_SEE_STREAMS,),
    "registry:read": ("contracts.view_contract",),
    "registry:write": ("contracts.add_contract", "contracts.change_contract"),
    "groups:write": ("bridges.change_bridge",),
    "dead-letters:read": ("bridges.view_bridge", _SEE_PAYLOADS),
    "dead-letters:write": ("bridges.change_bridge", _SEE_PAYLOADS),
    "audit:read": ("core.view_auditentry",),
    "metrics:read": (_SEE_STREAMS,),
    "keys:write": ("streams.add_key", "streams.change_key"),
    "personal:read": ("streams.view_personal",),
}


class PersonRights:
    """The rights of a person (core.rights.Rights), from the permissions that they had when the request came.

    Whether there is anything of a stream that they may see takes the permission to see streams; what its events hold
    takes the one to see payloads.
    """

    __slots__ = ("_permissions",)

    def __init__(self, permissions: frozenset[str]) -> None:
        self._permissions = permissions

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        if action == "publish":
            return _CHANGE_STREAMS in self._permissions
        return {_SEE_STREAMS, _SEE_PAYLOADS} <= self._permissions

    def has(self, scope: str) -> bool:
        needed = _NEEDED.get(scope)
        return needed is not None and self._permissions.issuperset(needed)


def person(user: Any, *, address: str = "") -> Principal:
    """Return a Django user as a principal. Two queries, unless they are a superuser."""
    rights = EVERYTHING if user.is_superuser else PersonRights(frozenset(user.get_all_permissions()))
    return Principal(kind="person", name=user.get_username(), address=address, rights=rights)


def of_session(headers: Mapping[str, str], *, address: str = "") -> Principal | None:
    """Return who is logged in with the session that the cookies name; None when nobody is. Asks the database."""
    cookie = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookie)
    user = get_user(request)
    return person(user, address=address) if user.is_authenticated else None


def named(username: str, *, address: str = "") -> Principal | None:
    """Return the person with this name; None when there is none, or they may not log in any more."""
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    return None if user is None else person(user, address=address)
