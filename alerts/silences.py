"""Operations on silences, with audit entries, for the API and the admin."""

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
    """Return active and future silences; with `all_`, also past ones.

    Raises:
        Forbidden: when the caller lacks the scope `alerts:write`.
    """
    demand_scope(by, SCOPE)
    rows = Silence.objects.all()
    return list(rows if all_ else rows.filter(ends_at__gt=timezone.now()))


def create(
    *, subject: str, rule: str, reason: str, ends_at: datetime, begins_at: datetime | None = None, by: Principal
) -> Silence:
    """Create a silence.

    Args:
        subject: a pattern of names of streams, bridges, groups or services.
        rule: a pattern of names of rules.
        reason: the reason why no notifications are needed.
        ends_at: at most 90 days after it begins.
        begins_at: the beginning; None means now.
        by: the caller.

    Raises:
        Forbidden: when the caller may not.
        BadParameter: when a value is not valid.
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
    """End a silence now. A past one stays unchanged; a future one will not begin.

    Raises:
        Forbidden: when the caller may not.
        UnknownSilence: when there is no silence with this number.
    """
    demand_scope(by, SCOPE)
    rows = Silence.objects.filter(pk=pk)
    # Checked before the transaction, which would take the database's lock for nothing.
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
