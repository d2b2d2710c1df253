"""Audit entries for log-ins to the admin, successful and failed.

`login_throttle` counts attempts and locks out.

One entry stands for all failures of one name from one caller within a quarter of an hour, and one for all names that
no user has. So the audit log grows with people and callers, not with guesses. Entries of failures hold addresses and
are deleted after SYNAPSE_FAILED_LOGIN_DAYS.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any

import axes.signals  # noqa: F401 - it says first that somebody is locked out, and then we are told
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
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
    """Count a failed log-in in the audit entry of its caller and name, creating the entry for the first one."""
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
    """Record that passwords of a user from a caller are no longer checked. Names without a user leave no entry."""
    if get_user_model().objects.filter(username=username).exists():
        caller = Principal(kind="anonymous", name="anonymous", address=one_caller(address))
        audit.record(caller, LOCKED, f"user {username}", after={"failures": failures, "minutes": minutes})


def delete_old_entries() -> None:
    """Delete expired entries, and of the rest those beyond the maximum number."""
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


_LOGGED_IN, _LOGGED_OUT = "log in", "log out"


def address_of(request: HttpRequest) -> str:
    """Return the client's address as the front door resolved it (AXES_CLIENT_IP_CALLABLE)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def locked_out(request: HttpRequest, response: Any = None, credentials: Any = None) -> HttpResponse:
    """Answer 429 to a caller after too many wrong passwords (AXES_LOCKOUT_CALLABLE)."""
    seconds = ceil(settings.AXES_COOLOFF_TIME.total_seconds())
    answer = render(request, "core/admin/locked_out.html", {"minutes": ceil(seconds / 60)}, status=429)
    answer["Retry-After"] = str(seconds)
    return answer


def watch() -> None:
    """Record every log-in, log-out and failed log-in."""
    user_logged_in.connect(_logged_in, dispatch_uid="record of logging in")
    user_logged_out.connect(_logged_out, dispatch_uid="record of logging out")
    user_login_failed.connect(_failed, dispatch_uid="record of failing to log in")


def _logged_in(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None and address_of(request):
        audit.record(_person(request, user), _LOGGED_IN, user)


def _logged_out(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None and user is not None and address_of(request):
        audit.record(_person(request, user), _LOGGED_OUT, user)


def _failed(credentials: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Record a wrong name or password, and the lock-out after the last one; attempts that were not checked leave no
    entry.
    """
    failures = getattr(request, "axes_failures_since_start", None)
    if request is None or failures is None:
        return
    username, address = str(credentials.get("username") or ""), address_of(request)
    record_failure(username, address)
    if getattr(request, "axes_locked_out", False):
        minutes = ceil(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
        record_lock_out(username, address, failures=failures, minutes=minutes)


def _person(request: HttpRequest, user: Any) -> Principal:
    return Principal(kind="person", name=user.get_username(), address=address_of(request))
