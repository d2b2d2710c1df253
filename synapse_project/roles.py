"""The built-in roles: sets of permissions for people. Each `migrate` restores them.

After each `migrate`, a built-in role has exactly these permissions. Other sets need roles of their own. No built-in
role includes the right to see PII or to create people: a superuser grants these to a person.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Permission

from core.models import Role
from synapse.auth.permission import PUBLISH, VIEW_PAYLOAD

_DEFINITIONS = ("streams.stream", "streams.eventtype", "streams.service", "streams.grant", "contracts.contract")

_ALERTS = ("alerts.alertrule", "alerts.silence")


def _permissions_for(models: Iterable[str], *actions: str) -> tuple[str, ...]:
    pairs = (model.split(".") for model in models)
    return tuple(f"{app}.{action}_{name}" for app, name in pairs for action in actions)


VIEWER = (
    *_permissions_for(
        (*_DEFINITIONS, "contracts.registrysettings", "bridges.bridge", "bridges.archivedevent", *_ALERTS), "view"
    ),
    *_permissions_for(["streams.savedview"], "view", "add"),
)
_SEES_EVENTS = (VIEW_PAYLOAD, PUBLISH, "core.view_auditentry")

ROLES: Mapping[str, tuple[str, ...]] = {
    # Sees definitions, statistics and states, but no payloads.
    "viewer": VIEWER,
    # Edits streams, event types, contracts, services and grants.
    "editor": (
        *VIEWER,
        *_SEES_EVENTS,
        *_permissions_for(_DEFINITIONS, "add", "change", "delete"),
        # For saved views that other people share. Everybody may change their own without these permissions.
        *_permissions_for(["streams.savedview"], "change", "delete"),
        "contracts.change_registrysettings",
        "streams.view_key",
    ),
    # Manages bridges and their secrets, groups, dead letters, and the keys of services.
    "operator": (
        *VIEWER,
        *_SEES_EVENTS,
        *_permissions_for(["bridges.bridge", *_ALERTS], "add", "change", "delete"),
        *_permissions_for(["bridges.secret"], "view", "add", "change", "delete"),
        *_permissions_for(["streams.key"], "view", "add", "change"),
    ),
}


def restore_roles(**_: Any) -> None:
    """Create the built-in roles, and reset their permissions (a receiver of Django's post_migrate)."""
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    for name, permissions in ROLES.items():
        role, _made = Role.objects.get_or_create(name=name)
        role.permissions.set([known[permission] for permission in permissions])
