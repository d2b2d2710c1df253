"""The roles that exist from the start: sets of permissions for people. Each `migrate` restores them.

After each `migrate` a role has exactly these permissions. For another set, create a role. No role includes the right to
see PII or to create people: a superuser gives these to a person.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Permission

from core.models import Role
from synapse.auth.permission import PUBLISH, VIEW_PAYLOAD

_DEFINITIONS = ("streams.stream", "streams.eventtype", "streams.service", "streams.grant", "contracts.contract")

_ALERTS = ("alerts.alertrule", "alerts.silence")


def _permissions(models: Iterable[str], *actions: str) -> tuple[str, ...]:
    pairs = (model.split(".") for model in models)
    return tuple(f"{app}.{action}_{name}" for app, name in pairs for action in actions)


VIEWER = (
    *_permissions(
        (*_DEFINITIONS, "contracts.registrysettings", "bridges.bridge", "bridges.archivedevent", *_ALERTS), "view"
    ),
    *_permissions(["streams.savedview"], "view", "add"),
)
_SEES_EVENTS = (VIEW_PAYLOAD, PUBLISH, "core.view_auditentry")

ROLES: Mapping[str, tuple[str, ...]] = {
    # Definitions, statistics and states; no payloads.
    "viewer": VIEWER,
    # Streams, event types, contracts, services, grants.
    "editor": (
        *VIEWER,
        *_SEES_EVENTS,
        *_permissions(_DEFINITIONS, "add", "change", "delete"),
        # Views that other people share: their own are everybody's to change.
        *_permissions(["streams.savedview"], "change", "delete"),
        "contracts.change_registrysettings",
        "streams.view_key",
    ),
    # Bridges and their secrets, groups, dead letters, the keys of services.
    "operator": (
        *VIEWER,
        *_SEES_EVENTS,
        *_permissions(["bridges.bridge", *_ALERTS], "add", "change", "delete"),
        *_permissions(["bridges.secret"], "view", "add", "change", "delete"),
        *_permissions(["streams.key"], "view", "add", "change"),
    ),
}


def keep(**_: Any) -> None:
    """Create the roles, and give each its permissions (a receiver of Django's post_migrate)."""
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    for name, permissions in ROLES.items():
        role, _made = Role.objects.get_or_create(name=name)
        role.permissions.set([known[permission] for permission in permissions])
