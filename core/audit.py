"""Write audit log entries to the database, and as lines of JSON to the logger `synapse.audit`.

SYNAPSE_AUDIT_LOG sends that logger to a file or to standard error.
"""

import json
import logging
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from django.db import models, transaction

from core.models import AuditEntry
from synapse.auth.principal import Principal

MOST_CHARACTERS, MOST_OF_TARGET = 200, 300


def record(
    actor: Principal, action: str, target: models.Model | str, *, before: Any = None, after: Any = None
) -> AuditEntry:
    """Write one audit entry, in the transaction of the recorded change.

    `before` and `after` are JSON values: `describe()` makes them from a model.
    """
    entry = _make_entry(actor, action, target, before, after)
    entry.save()
    # Logged only after the commit, when the change is certain.
    transaction.on_commit(partial(write_line, entry), robust=True)
    return entry


def record_all(actor: Principal, action: str, targets: Iterable[tuple[models.Model | str, Any, Any]]) -> None:
    """Write an audit entry for each tuple of target, values before and values after, with one bulk insert."""
    entries = [_make_entry(actor, action, target, before, after) for target, before, after in targets]
    for entry in AuditEntry.objects.bulk_create(entries):
        transaction.on_commit(partial(write_line, entry), robust=True)


def _make_entry(actor: Principal, action: str, target: models.Model | str, before: Any, after: Any) -> AuditEntry:
    return AuditEntry(
        actor=str(actor)[:MOST_CHARACTERS],
        kind=actor.kind,
        key=actor.key,
        address=actor.address,
        action=action,
        target=name_of(target)[:MOST_OF_TARGET],
        before=before,
        after=after,
    )


def name_of(target: models.Model | str) -> str:
    """Return the name of a target in audit entries: its kind and its own name, such as “stream orders”."""
    if isinstance(target, str):
        return target
    return f"{target._meta.verbose_name} {target}"


def describe(instance: models.Model, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of a model's own columns as JSON values, for `before` and `after`.

    Args:
        without: columns that must not appear in the audit log.
    """
    described: dict[str, Any] = {}
    for field in instance._meta.concrete_fields:
        if field.name in without:
            continue
        value = field.value_from_object(instance)
        described[field.name] = value if isinstance(value, (dict, list, int, bool, type(None))) else str(value)
    return described


logger = logging.getLogger("synapse.audit")


def write_line(entry: AuditEntry) -> None:
    """Write an entry as one line of JSON."""
    if logger.isEnabledFor(logging.INFO):
        # As ASCII, so that no character from outside can begin a new line or move a terminal's cursor.
        logger.info("%s", json.dumps(as_dict(entry), separators=(",", ":")))


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as JSON values, in the form that log lines and the API share."""
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
