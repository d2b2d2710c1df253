"""Silences: made, ended and listed, by the API and the admin alike, and recorded."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from alerts.models import Silence
from core import audit
from synapse.auth.permission import demand_scope
from synapse.auth.principal import Principal
from synapse.errors.alerts import UnknownSilence
from synapse.problems import BadParameter

SCOPE = "alerts:write"


def list_silences(*, by: Principal, all_: bool = False) -> list[Silence]:
    """Return the silences that are active or to come, or all of them.

    Raises:
        Forbidden: when the caller has not the scope `alerts:write`, as for all of these.
    """
    demand_scope(by, SCOPE)
    rows = Silence.objects.all()
    return list(rows if all_ else rows.filter(ends_at__gt=timezone.now()))


def create(
    *, subject: str, rule: str, reason: str, ends_at: datetime, begins_at: datetime | None = None, by: Principal
) -> Silence:
    """Make a silence.

    Args:
        subject: a pattern of names of streams, bridges, groups or services.
        rule: a pattern of names of rules.
        reason: why notifications are not needed.
        ends_at: at most 90 days after it begins.
        begins_at: now, when it is None.
        by: the caller.

    Raises:
        Forbidden: when the caller may not.
        BadParameter: when a value cannot be used.
    """
    demand_scope(by, SCOPE)
    row = Silence(subject=subject, rule=rule, reason=reason.strip(), ends_at=ends_at, created_by=str(by)[:200])
    if begins_at is not None:
        row.begins_at = begins_at
    try:
        row.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BadParameter(f"“{field}”: {' '.join(messages)}", parameter=field) from None
    with transaction.atomic():
        row.save()
        audit.record(by, "create", row, before=None, after=audit.describe(row))
    return row


def end(pk: int, *, by: Principal) -> Silence:
    """End a silence now. A silence that is over stays unchanged; one that has not begun never begins.

    Raises:
        Forbidden: when the caller may not.
        UnknownSilence: when there is none of this number.
    """
    demand_scope(by, SCOPE)
    rows = Silence.objects.filter(pk=pk)
    # Asked first without a transaction, which takes the database's lock.
    if not rows.exists():
        raise UnknownSilence(f"There is no silence {pk}.")
    with transaction.atomic():
        row, now = rows.select_for_update().get(), timezone.now()
        if row.ends_at > now:
            before = audit.describe(row)
            row.begins_at, row.ends_at = min(row.begins_at, now), now
            row.save(update_fields=["begins_at", "ends_at"])
            audit.record(by, "end", row, before=before, after=audit.describe(row))
    return row
