"""The rights of a person, from Django permissions.

One table maps scopes to permissions. The admin's pages check permissions themselves, as Django's do; their data and
actions go through the operations, which check rights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synapse.auth.principal import EVERYTHING, PERSONAL, Action, Principal, Rights

VIEW_PAYLOAD = "streams.view_payload"
VIEW_PERSONAL = "streams.view_personal"
PUBLISH = "streams.add_event"

# Sees streams and their statistics, whether or not they may publish to or read from them.
STREAMS_READ = "streams:read"

# The permissions of a scope: all of them are needed.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "catalog:read": (),
    STREAMS_READ: ("streams.view_stream",),
    "registry:read": ("contracts.view_contract",),
    "registry:write": ("contracts.add_contract", "contracts.change_contract"),
    # Enough to change one in the admin, which `registry:write` is not.
    "contracts:change": ("contracts.change_contract",),
    "groups:write": ("bridges.change_bridge",),
    "dead-letters:read": ("bridges.view_bridge", VIEW_PAYLOAD),
    "dead-letters:write": ("bridges.change_bridge", VIEW_PAYLOAD),
    PERSONAL: (VIEW_PERSONAL,),
    "audit:read": ("core.view_auditentry",),
    "metrics:read": ("streams.view_stream",),
    "keys:write": ("streams.add_key", "streams.change_key"),
}
ACTIONS: Mapping[Action, tuple[str, ...]] = {
    "publish": ("streams.view_stream", PUBLISH),
    "read": ("streams.view_stream", VIEW_PAYLOAD),
}


@dataclass(frozen=True, slots=True)
class PersonRights:
    """The rights of a person, from the permissions that they had when the request came."""

    permissions: frozenset[str] = field(repr=False)

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        """Say whether the person may do this with events: of any stream, since permissions name none."""
        return self.permissions.issuperset(ACTIONS[action])

    def has(self, scope: str) -> bool:
        """Say whether the person has a scope; one that no permission stands for is a superuser's."""
        return scope in SCOPES and self.permissions.issuperset(SCOPES[scope])


def rights_of(user: Any) -> Rights:
    """Return the rights of a Django user: every right for a superuser, none for an inactive user.

    It takes two queries, unless the user was asked before.
    """
    if user.is_active and user.is_superuser:
        return EVERYTHING
    return PersonRights(frozenset(user.get_all_permissions()))


def person_of(user: Any, *, address: str) -> Principal:
    """Return the principal of a Django user with the IP address of the request."""
    return Principal(kind="person", name=user.get_username(), address=address, rights=rights_of(user))
