"""Log-ins to the admin: audit entries for successful and failed ones, and a limit on password guesses.

One entry counts all failures of one user name from one caller within a quarter of an hour; all names that no user has
share one. So the audit log grows with people and callers, not with guesses. Entries of failures hold addresses and are
deleted after SYNAPSE_FAILED_LOGIN_DAYS.

The limit is five attempts for a name from a caller, then none for a quarter of an hour. django-axes counts a failure
after checking the password, so concurrent guesses would all be checked. Here an attempt is counted before the check, in
one database statement: the limit holds across processes. django-axes calls this handler (AXES_HANDLER), keeps the
table, and answers callers that are locked out. The log-in form refuses names and passwords longer than any real one
before a password is hashed.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Any

import axes.signals  # noqa: F401 - its receiver has to run before ours, which reads the lock-out from it
from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from unfold.forms import AuthenticationForm  # type: ignore[import-untyped]

from core import audit
from core.models import AuditEntry
from synapse.auth.client_ip import one_caller
from synapse.auth.principal import Principal

FAILED, LOCKED = "fail to log in", "lock out"
UNKNOWN_NAMES = "users that are not there"
_AGGREGATION_WINDOW = timedelta(minutes=15)
_MOST_NAMES = 10
# At most this many entries of failures are kept, the newest ones.
MOST_ENTRIES = 10_000


def record_failure(username: str, address: str) -> None:
    """Count a failed log-in in the audit entry of its caller and name, creating the entry for the first one."""
    name = username[:MOST_NAME_CHARACTERS]
    is_known = get_user_model().objects.filter(username=username).exists()
    target, names = (f"user {name}", []) if is_known else (UNKNOWN_NAMES, [name])
    caller, now = one_caller(address), timezone.now()
    with transaction.atomic():
        recent = AuditEntry.objects.select_for_update().filter(target=target, at__gt=now - _AGGREGATION_WINDOW)
        entry = recent.filter(action=FAILED, kind="anonymous", address=caller).order_by("-pk").first()
        if entry is None:
            after: dict[str, Any] = {"failures": 1, **({"names": names} if names else {})}
            audit.record(Principal(kind="anonymous", name="anonymous", address=caller), FAILED, target, after=after)
            return
        after = dict(entry.after or {})
        after["failures"] += 1
        after["last"] = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        if names and names[0] not in after["names"] and len(after["names"]) < _MOST_NAMES:
            after["names"] = [*after["names"], *names]
        entry.after = after
        entry.save(update_fields=["after"])
        if after["failures"] & (after["failures"] - 1) == 0:
            # In the log, a line is written at the second failure, the fourth, the eighth and so on.
            transaction.on_commit(lambda: audit.write_line(entry), robust=True)


def record_lock_out(username: str, address: str, *, failures: int, minutes: int) -> None:
    """Record that a caller's passwords for a user are no longer checked. Names that no user has leave no entry."""
    if get_user_model().objects.filter(username=username).exists():
        caller = Principal(kind="anonymous", name="anonymous", address=one_caller(address))
        audit.record(caller, LOCKED, f"user {username}", after={"failures": failures, "minutes": minutes})


def delete_old_entries() -> None:
    """Delete expired entries of failures and lock-outs, and then the oldest ones beyond `MOST_ENTRIES`."""
    ours = AuditEntry.objects.filter(kind="anonymous", action__in=(FAILED, LOCKED))
    ours.filter(at__lt=timezone.now() - timedelta(days=settings.FAILED_LOGIN_DAYS)).delete()
    first_too_many = ours.order_by("-pk").values_list("pk", flat=True)[MOST_ENTRIES : MOST_ENTRIES + 1].first()
    if first_too_many is not None:
        ours.filter(pk__lte=first_too_many).delete()


_LOGGED_IN, _LOGGED_OUT = "log in", "log out"


def address_of(request: HttpRequest) -> str:
    """Return the client's address as resolved by the request guard (AXES_CLIENT_IP_CALLABLE)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def answer_locked_out(request: HttpRequest, response: Any = None, credentials: Any = None) -> HttpResponse:
    """Answer 429 to a caller after too many wrong passwords (AXES_LOCKOUT_CALLABLE)."""
    seconds = ceil(settings.AXES_COOLOFF_TIME.total_seconds())
    answer = render(request, "core/admin/locked_out.html", {"minutes": ceil(seconds / 60)}, status=429)
    answer["Retry-After"] = str(seconds)
    return answer


def connect_signals() -> None:
    """Connect the receivers that record every log-in, log-out and failed log-in."""
    user_logged_in.connect(_record_login, dispatch_uid="record of logging in")
    user_logged_out.connect(_record_logout, dispatch_uid="record of logging out")
    user_login_failed.connect(_record_failed_login, dispatch_uid="record of failing to log in")


def _record_login(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None and address_of(request):
        audit.record(_principal_of(request, user), _LOGGED_IN, user)


def _record_logout(request: HttpRequest | None, user: Any, **_: Any) -> None:
    if request is not None and user is not None and address_of(request):
        audit.record(_principal_of(request, user), _LOGGED_OUT, user)


def _record_failed_login(credentials: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Record a wrong name or password, and the lock-out if this was the last attempt. Attempts that were not checked
    leave no entry.
    """
    failures = getattr(request, "axes_failures_since_start", None)
    if request is None or failures is None:
        return
    username, address = str(credentials.get("username") or ""), address_of(request)
    record_failure(username, address)
    if getattr(request, "axes_locked_out", False):
        minutes = ceil(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
        record_lock_out(username, address, failures=failures, minutes=minutes)


def _principal_of(request: HttpRequest, user: Any) -> Principal:
    return Principal(kind="person", name=user.get_username(), address=address_of(request))


MOST_NAME_CHARACTERS = User._meta.get_field("username").max_length or 150
MOST_PASSWORD_CHARACTERS = 4096


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """Refuses impossible names and passwords before any attempt is counted or hashed."""

    def clean(self) -> Any:
        too_long = (
            len(self.cleaned_data.get("username") or "") > MOST_NAME_CHARACTERS
            or len(self.cleaned_data.get("password") or "") > MOST_PASSWORD_CHARACTERS
        )
        if too_long:
            raise self.get_invalid_login_error()
        return super().clean()


class MaximumLengthValidator:
    """Refuses passwords longer than the log-in form accepts (AUTH_PASSWORD_VALIDATORS)."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for a password that is too long."""
        if len(password) > MOST_PASSWORD_CHARACTERS:
            raise ValidationError(
                f"This password is too long. It must contain at most {MOST_PASSWORD_CHARACTERS} characters.",
                code="password_too_long",
            )

    def get_help_text(self) -> str:
        """Return the help text for the pages."""
        return f"Your password must contain at most {MOST_PASSWORD_CHARACTERS} characters."


_MOST_CHARACTERS = 255


class LoginThrottle(AbstractAxesHandler, AxesBaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts each attempt before the password is checked, and resets the count after a successful log-in.

    Sets `axes_failures_since_start` of the request: the number of attempts so far, including this one, or None if no
    attempt was left.
    """

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Count an attempt. Return False if none is left: the password is not checked then."""
        taken = _count_attempt(_counter_key(request, credentials), request.axes_attempt_time)  # type: ignore[attr-defined]
        request.axes_failures_since_start = taken  # type: ignore[attr-defined]
        return taken is not None

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the number of attempts within the current window."""
        live = AccessAttempt.objects.filter(attempt_time__gt=_window_begin(request.axes_attempt_time))  # type: ignore[attr-defined]
        row = live.filter(**_counter_key(request, credentials)).first()
        return 0 if row is None else int(row.failures_since_start)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Mark the request as locked out if the attempt was the last one."""
        taken = getattr(request, "axes_failures_since_start", None)
        if taken is not None and taken >= settings.AXES_FAILURE_LIMIT:
            request.axes_locked_out = True

    def user_logged_in(self, sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        """Reset the count of attempts after a successful log-in."""
        give_back_attempts(request, user.get_username())

    def user_logged_out(self, sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        """Do nothing: the receiver above records log-outs."""

    def post_save_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Do nothing when a row is saved."""

    def post_delete_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Do nothing when a row is deleted."""


def take_attempt(request: HttpRequest, username: str) -> bool:
    """Count an attempt at a person's password from the request's address. Return False if none is left."""
    return _count_attempt(_counter_key(request, {"username": username}), timezone.now()) is not None


def give_back_attempts(request: HttpRequest, username: str) -> None:
    """Reset the count of attempts at a person's password from the request's address."""
    AccessAttempt.objects.filter(**_counter_key(request, {"username": username})).delete()


def delete_expired_attempts() -> None:
    """Delete expired attempts."""
    AccessAttempt.objects.filter(attempt_time__lte=_window_begin(timezone.now())).delete()


def _count_attempt(key: dict[str, str], now: datetime) -> int | None:
    """Count an attempt unless the limit is reached. Return the new count, None at the limit."""
    with transaction.atomic():
        rows = AccessAttempt.objects.filter(**key)
        rows.filter(attempt_time__lte=_window_begin(now)).delete()
        AccessAttempt.objects.bulk_create([AccessAttempt(**key, failures_since_start=0)], ignore_conflicts=True)
        is_taken = rows.filter(failures_since_start__lt=settings.AXES_FAILURE_LIMIT).update(
            failures_since_start=F("failures_since_start") + 1, attempt_time=now
        )
        return rows.get().failures_since_start if is_taken else None


def _window_begin(now: datetime) -> datetime:
    begin: datetime = now - settings.AXES_COOLOFF_TIME
    return begin


def _counter_key(request: HttpRequest, credentials: dict[str, Any] | None) -> dict[str, str]:
    """Return the columns that identify a counter. All addresses of one IPv6 network share a counter."""
    caller = one_caller(str(request.META.get("REMOTE_ADDR", ""))).partition("/")[0]
    return {
        "username": str((credentials or {}).get("username") or "")[:_MOST_CHARACTERS],
        # The column holds an address, so a network is stored as its first address.
        "ip_address": "::" if caller == "nowhere" else caller,
        "user_agent": "",
    }
