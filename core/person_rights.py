"""What a person may do: the rights that go with Django permissions.

One table says which permission stands for which scope. The admin's pages ask for permissions themselves, as Django's
do; what they show and do goes through the operations, which ask for rights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.rights import Action

VIEW_PAYLOAD = "streams.view_payload"
VIEW_PERSONAL = "streams.view_personal"
PUBLISH = "streams.add_event"

# The permissions of a scope: all of them are needed.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "catalog:read": ("streams.view_stream",),
    "registry:read": ("contracts.view_contract",),
    "registry:write": ("contracts.add_contract", "contracts.change_contract"),
    "groups:write": ("bridges.change_bridge",),
    "dead-letters:read": ("bridges.view_bridge", VIEW_PAYLOAD),
    "dead-letters:write": ("bridges.change_bridge", VIEW_PAYLOAD),
    "personal:read": (VIEW_PERSONAL,),
    "audit:read": ("core.view_auditentry",),
    "metrics:read": ("streams.view_stream",),
    "keys:write": ("streams.change_service",),
}
ACTIONS: Mapping[Action, tuple[str, ...]] = {
    "publish": ("streams.view_stream", PUBLISH),
    "read": ("streams.view_stream", VIEW_PAYLOAD),
}


@dataclass(frozen=True, slots=True)
class PersonRights:
    """The rights of a Django user. A superuser has all; one who is not active has none.

    Asking costs the user's permissions once: Django keeps them with the user.
    """

    user: Any = field(repr=False)

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        """Say whether the person may do this with events: of any stream, since permissions name none."""
        return bool(self.user.has_perms(ACTIONS[action]))

    def has(self, scope: str) -> bool:
        """Say whether the person has a scope; one that no permission stands for is a superuser's."""
        return bool(self.user.has_perms(SCOPES[scope]) if scope in SCOPES else self.user.is_superuser)
