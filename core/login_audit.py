"""Logging in to the admin: recorded, whether it went well or not. `login_throttle` counts attempts, and locks out."""

from math import ceil
from typing import Any

import axes.signals  # noqa: F401 - it says first that somebody is locked out, and then we are told
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core import audit, failed_log_ins
from synapse.auth.principal import Principal

_LOGGED_IN, _LOGGED_OUT = "log in", "log out"


def address_of(request: HttpRequest) -> str:
    """Return the address of who asks, as the front door found it out (AXES_CLIENT_IP_CALLABLE)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def locked_out(request: HttpRequest, response: Any = None, credentials: Any = None) -> HttpResponse:
    """Answer whoever guessed too often (AXES_LOCKOUT_CALLABLE)."""
    seconds = ceil(settings.AXES_COOLOFF_TIME.total_seconds())
    answer = render(request, "core/admin/locked_out.html", {"minutes": ceil(seconds / 60)}, status=429)
    answer["Retry-After"] = str(seconds)
    return answer


def watch() -> None:
    """Record who logs in and out, and who fails to."""
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
    """Record a wrong name or password, and that no further are looked at after it; none of those that were not."""
    failures = getattr(request, "axes_failures_since_start", None)
    if request is None or failures is None:
        return
    username, address = str(credentials.get("username") or ""), address_of(request)
    failed_log_ins.record_failure(username, address)
    if getattr(request, "axes_locked_out", False):
        minutes = ceil(settings.AXES_COOLOFF_TIME.total_seconds() / 60)
        failed_log_ins.record_lock_out(username, address, failures=failures, minutes=minutes)


def _person(request: HttpRequest, user: Any) -> Principal:
    return Principal(kind="person", name=user.get_username(), address=address_of(request))
