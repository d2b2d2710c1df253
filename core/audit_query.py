"""Finding audit entries: by who, what was done, to what, when."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from core.models import AuditEntry
from synapse.auth.permission import demand_scope
from synapse.auth.principal import Principal

SCOPE = "audit:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are meant: those that meet all that is said. An empty text means any.

    `actor`, `action` and `key` are exact; `target` is a part of what it names, in capitals or small letters. `since`
    and `until` are both included.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, newest first, and the id before which the next page begins (None: there is none)."""

    entries: list[AuditEntry]
    next: int | None


def page(wanted: Wanted, *, by: Principal, count: int, before: int | None = None) -> Page:
    """Return the newest entries that are wanted; with `before`, those with a lower id.

    Raises:
        Forbidden: when the caller may not read the record.
    """
    demand_scope(by, SCOPE)
    rows = _found(wanted)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: count + 1])
    entries = found[:count]
    return Page(entries=entries, next=entries[-1].pk if len(found) > count else None)


def _found(wanted: Wanted) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.all()
    exact = {"actor": wanted.actor, "action": wanted.action, "key": wanted.key}
    rows = rows.filter(**{name: text for name, text in exact.items() if text})
    if wanted.target:
        rows = rows.filter(target__icontains=wanted.target)
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(at__lte=wanted.until)
    return rows
