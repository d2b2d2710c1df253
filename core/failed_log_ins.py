"""Log-ins that failed, in the audit log: one entry for all of a quarter of an hour that a caller tried with one name.

Whoever tries names that nobody has gets one entry for all of them. So the audit log grows with the people and the
callers that there are, not with the guesses of one. Such entries are kept for a while only
(SYNAPSE_FAILED_LOGIN_DAYS): they hold addresses, and who guesses from many addresses still makes many.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from core import audit
from core.models import AuditEntry
from synapse.auth.client_ip import one_caller
from synapse.auth.principal import Principal

FAILED, LOCKED = "fail to log in", "lock out"
UNKNOWN_NAMES = "users that are not there"
_SUMMED_FOR = timedelta(minutes=15)
_MOST_NAMES = 10
_MOST_CHARACTERS = 150
# Of all that are kept at most so many, the newest.
MOST_ENTRIES = 10_000


def record_failure(username: str, address: str) -> None:
    """Count a log-in that failed in the entry of its caller and its name, which is made for the first one."""
    name = username[:_MOST_CHARACTERS]
    is_known = get_user_model().objects.filter(username=username).exists()
    target, names = (f"user {name}", []) if is_known else (UNKNOWN_NAMES, [name])
    caller, now = one_caller(address), timezone.now()
    with transaction.atomic():
        entry = _entry_of(caller, target, now)
        if entry is None:
            after = {"failures": 1, **({"names": names} if names else {})}
            audit.record(Principal(kind="anonymous", name="anonymous", address=caller), FAILED, target, after=after)
        else:
            _count_up(entry, names, now)


def record_lock_out(username: str, address: str, *, failures: int, minutes: int) -> None:
    """Record that no password is looked at any more for a user from a caller. Names that nobody has leave no entry."""
    if get_user_model().objects.filter(username=username).exists():
        caller = Principal(kind="anonymous", name="anonymous", address=one_caller(address))
        audit.record(caller, LOCKED, f"user {username}", after={"failures": failures, "minutes": minutes})


def delete_old_entries() -> None:
    """Delete the entries that are older than they are kept, and of the others those beyond the newest so many."""
    ours = AuditEntry.objects.filter(kind="anonymous", action__in=(FAILED, LOCKED))
    ours.filter(at__lt=timezone.now() - timedelta(days=settings.FAILED_LOGIN_DAYS)).delete()
    first_too_many = ours.order_by("-pk").values_list("pk", flat=True)[MOST_ENTRIES : MOST_ENTRIES + 1].first()
    if first_too_many is not None:
        ours.filter(pk__lte=first_too_many).delete()


def _entry_of(caller: str, target: str, now: datetime) -> AuditEntry | None:
    """Return the entry that still counts, locked until the transaction ends."""
    recent = AuditEntry.objects.select_for_update().filter(target=target, at__gt=now - _SUMMED_FOR)
    return recent.filter(action=FAILED, kind="anonymous", address=caller).order_by("-pk").first()


def _count_up(entry: AuditEntry, names: list[str], now: datetime) -> None:
    after: dict[str, Any] = dict(entry.after or {})
    after["failures"] += 1
    after["last"] = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    if names and names[0] not in after["names"] and len(after["names"]) < _MOST_NAMES:
        after["names"] = [*after["names"], *names]
    entry.after = after
    entry.save(update_fields=["after"])
    if after["failures"] & (after["failures"] - 1) == 0:
        # The lines that leave the machine tell the second, the fourth, the eighth and so on.
        transaction.on_commit(lambda: audit.write(entry), robust=True)
