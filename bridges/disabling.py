"""A bridge whose receiver wants nothing any more disables itself."""

import logging

from django.db import transaction

from bridges.database import close_stale_connections
from bridges.definitions import BridgeDefinition
from bridges.models import Bridge
from core import audit
from core.principal import SYSTEM

logger = logging.getLogger(__name__)


def disable(bridge: BridgeDefinition, reason: str) -> None:
    """Disable a bridge of the catalog, and record why. One that is no row, or is disabled already, stays as it is."""
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
            "disable",
            f"bridge {row.name}",
            before={"enabled": True},
            after={"enabled": False, "reason": reason},
        )
    logger.warning("The bridge %s was disabled: %s", bridge.name, reason)
