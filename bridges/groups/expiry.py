"""Expiry of groups that a read opened and that are no longer read, so that groups with invented names do not pile up.

A group that is defined in a catalog file, or was changed in the admin, never expires, and neither does a group with
pending, scheduled or blocked events or with dead letters.
"""

import contextlib
import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import close_old_connections, transaction

from bridges.groups import actions, checks
from bridges.models import Bridge, OpenedGroup
from bridges.pull import groups
from core import audit
from streams.connections import shares_of
from synapse.auth.principal import SYSTEM
from synapse.catalog.bridge_definitions import PULL, PULL_LEASE_SECONDS
from synapse.errors.delivery import UnknownGroup
from synapse.runtime.periodic import Periodic

# The columns that opening a group sets; all others have their defaults.
_OPENED_WITH = {"sink": PULL, "lease_seconds": PULL_LEASE_SECONDS}
_WHOSE = frozenset(("id", "name", "stream", "group", "opened_by"))

logger = logging.getLogger(__name__)


def delete_expired_groups(now: datetime) -> list[str]:
    """Delete groups that were not read for `PULL_GROUP_DAYS`, and their bridges. Return the bridges' names.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    limit = now - timedelta(days=settings.PULL_GROUP_DAYS)
    rows = OpenedGroup.objects.filter(read_at__lt=limit).select_related("bridge__stream")
    return [row.bridge.name for row in rows if _is_unchanged(row.bridge) and _delete_expired(row, limit)]


def _delete_expired(row: OpenedGroup, limit: datetime) -> bool:
    bridge = row.bridge
    stream, group = bridge.stream.name, bridge.group
    if _holds_events(stream, group):
        return False
    with transaction.atomic():
        # Another process may have deleted it, or recorded a read meanwhile.
        if not OpenedGroup.objects.select_for_update().filter(pk=row.pk, read_at__lt=limit).exists():
            return False
        before = {"stream": stream, "group": group, "opened_by": bridge.opened_by, "read_at": row.read_at.isoformat()}
        audit.record(SYSTEM, "expire", f"bridge {bridge.name}", before=before, after=None)
        bridge.delete()
    days = settings.PULL_GROUP_DAYS
    with contextlib.suppress(UnknownGroup):
        actions.delete(stream, group, by=SYSTEM, force=True, reason=f"Nobody read it for {days} days.")
    shares_of("pull-groups").reclaimed += 1
    logger.info("The group %s of %s expired: nobody read it for %d days", group, stream, days)
    return True


def _is_unchanged(bridge: Bridge) -> bool:
    """Say whether a bridge is unchanged since a read opened it. Bridges that a person edited do not expire."""
    columns = [column for column in Bridge._meta.concrete_fields if column.name not in _WHOSE]
    return all(
        getattr(bridge, column.attname) == _OPENED_WITH.get(column.name, column.get_default()) for column in columns
    )


def _holds_events(stream: str, group: str) -> bool:
    try:
        found = checks.status_of(stream, group)
    except UnknownGroup:
        return False
    return bool(found.group.pending or found.waiting or found.parked or found.dead)


def flush_reads_and_expire() -> None:
    """Write the times of groups' last reads to the database, and delete expired groups."""
    close_old_connections()
    groups.flush_reads()
    delete_expired_groups(datetime.now(UTC))


WORK = Periodic("unused groups", 600.0, flush_reads_and_expire)
