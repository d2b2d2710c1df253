"""A limit on password guesses: five attempts for a name from a caller, then none for a quarter of an hour.

django-axes counts a failure after the password was checked, so guesses sent at once would all be checked. Here an
attempt is counted before, in one database statement: the limit holds across processes. django-axes calls this handler
(AXES_HANDLER), keeps the table, and answers callers that are locked out. The log-in form refuses names and passwords
longer than any real one before a password is hashed.
"""

from datetime import datetime
from typing import Any

from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from unfold.forms import AuthenticationForm  # type: ignore[import-untyped]

from synapse.auth.client_ip import one_caller

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
    """Takes one of the remaining attempts, and returns all of them after a successful log-in.

    On the request, `axes_failures_since_start` is the number of attempts taken, this one included; None when none was
    left.
    """

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Take an attempt. Return False when none is left: the password is not checked then."""
        taken = _take(_key(request, credentials), request.axes_attempt_time)  # type: ignore[attr-defined]
        request.axes_failures_since_start = taken  # type: ignore[attr-defined]
        return taken is not None

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the number of attempts that still count."""
        live = AccessAttempt.objects.filter(attempt_time__gt=_begin(request.axes_attempt_time))  # type: ignore[attr-defined]
        row = live.filter(**_key(request, credentials)).first()
        return 0 if row is None else int(row.failures_since_start)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Announce the lock-out when the attempt was the last one."""
        taken = getattr(request, "axes_failures_since_start", None)
        if taken is not None and taken >= settings.AXES_FAILURE_LIMIT:
            request.axes_locked_out = True

    def user_logged_in(self, sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        """Return the attempts taken from the caller's address after a log-in."""
        give_back_attempts(request, user.get_username())

    def user_logged_out(self, sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        """Do nothing: the audit log records it."""

    def post_save_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Do nothing when a row is saved."""

    def post_delete_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Do nothing when a row is deleted."""


def take_attempt(request: HttpRequest, username: str) -> bool:
    """Take an attempt at a person's password from the request's address. Return False when none is left."""
    return _take(_key(request, {"username": username}), timezone.now()) is not None


def give_back_attempts(request: HttpRequest, username: str) -> None:
    """Return all attempts at a person's password that were taken from the request's address."""
    AccessAttempt.objects.filter(**_key(request, {"username": username})).delete()


def delete_expired_attempts() -> None:
    """Delete expired attempts."""
    AccessAttempt.objects.filter(attempt_time__lte=_begin(timezone.now())).delete()


def _take(key: dict[str, str], now: datetime) -> int | None:
    """Count an attempt unless the limit is reached. Return the new number, None at the limit."""
    with transaction.atomic():
        rows = AccessAttempt.objects.filter(**key)
        rows.filter(attempt_time__lte=_begin(now)).delete()
        AccessAttempt.objects.bulk_create([AccessAttempt(**key, failures_since_start=0)], ignore_conflicts=True)
        is_taken = rows.filter(failures_since_start__lt=settings.AXES_FAILURE_LIMIT).update(
            failures_since_start=F("failures_since_start") + 1, attempt_time=now
        )
        return rows.get().failures_since_start if is_taken else None


def _begin(now: datetime) -> datetime:
    begin: datetime = now - settings.AXES_COOLOFF_TIME
    return begin


def _key(request: HttpRequest, credentials: dict[str, Any] | None) -> dict[str, str]:
    """Return the columns that identify a counter: of an IPv6 address only the network counts."""
    caller = one_caller(str(request.META.get("REMOTE_ADDR", ""))).partition("/")[0]
    return {
        "username": str((credentials or {}).get("username") or "")[:_MOST_CHARACTERS],
        # The column takes an address; that of a network stands for it.
        "ip_address": "::" if caller == "nowhere" else caller,
        "user_agent": "",
    }
