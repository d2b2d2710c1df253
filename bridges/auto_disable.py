"""Automatic disabling of bridges whose receiver refuses all further events. The audit log keeps the reason."""

import logging
from collections.abc import Collection, Mapping

from django.db import transaction
from django.db.models import Q

from bridges.models import Bridge
from core import audit
from core.database import close_stale_connections
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from synapse.catalog.bridge_definitions import BridgeDefinition

_ACTION = "disable"

logger = logging.getLogger(__name__)


def disable_bridge(bridge: BridgeDefinition, reason: str) -> None:
    """Disable a bridge of the catalog, and record the reason. A temporary or already disabled bridge stays
    unchanged.
    """
    if bridge.pk is None:
        return
    close_stale_connections()
    with transaction.atomic():
        row = Bridge.objects.select_for_update().filter(pk=bridge.pk, enabled=True).first()
        if row is None:
            return
        row.enabled = False
        row.save(update_fields=["enabled"])
        audit.record(
            SYSTEM,
            _ACTION,
            _target_of(row.name),
            before={"enabled": True},
            after={"enabled": False, "reason": reason},
        )
    logger.warning("The bridge %s was disabled: %s", bridge.name, reason)


def reasons_of_disabling(names: Collection[str]) -> Mapping[str, str]:
    """Return the reasons for which bridges were disabled automatically, by name; "" for a bridge enabled since then."""
    if not names:
        return {}
    by_target = {_target_of(name): name for name in names}
    found: dict[str, str] = {}
    entries = AuditEntry.objects.filter(target__in=by_target).order_by("id").values_list("target", "action", "after")
    for target, action, after in entries.filter(Q(action=_ACTION) | Q(after__enabled=True)):
        found[by_target[target]] = str((after or {}).get("reason", "")) if action == _ACTION else ""
    return found


def _target_of(name: str) -> str:
    return f"bridge {name}"
