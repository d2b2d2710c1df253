"""The record as lines of JSON, for programs that collect such: the logger `synapse.audit`, which SYNAPSE_AUDIT_LOG
sends to a file or to standard error."""

import json
import logging
from typing import Any

from core.models import AuditEntry

logger = logging.getLogger("synapse.audit")


def write(entry: AuditEntry) -> None:
    """Write an entry as one line."""
    if logger.isEnabledFor(logging.INFO):
        # In ASCII: no character of what others wrote can begin a line of its own, or move a terminal's cursor.
        logger.info("%s", json.dumps(as_dict(entry), separators=(",", ":")))


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as JSON, the same in the log and in the API."""
    return {
        "id": entry.pk,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "actor": entry.actor,
        "kind": entry.kind,
        "key": entry.key or None,
        "address": entry.address or None,
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
    }
