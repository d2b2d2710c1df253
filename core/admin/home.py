"""The first page of the admin. Each app adds its part with `add`, in the order in which the apps are loaded."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.database import close_stale_connections
from core.models import AuditEntry

LATEST = 6
# Actions in the audit log that change nothing.
NO_CHANGES = ("see payloads", "log in", "log out", "fail to log in", "lock out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An app's part of the first page: a template, and a function that returns its values on each request."""

    template: str
    values: Callable[[HttpRequest], Mapping[str, Any]]


_parts: list[Part] = []


def add(part: Part) -> None:
    """Add a part to the first page, after the others, and before the latest changes."""
    _parts.append(part)


def _values(request: HttpRequest) -> list[dict[str, Any]]:
    return [{"template": part.template, "values": part.values(request)} for part in (*_parts, _CHANGES)]


def _latest_changes(request: HttpRequest) -> Mapping[str, Any]:
    if not request.user.has_perm("core.view_auditentry"):
        return {"may_see": False}
    return {"may_see": True, "entries": AuditEntry.objects.exclude(action__in=NO_CHANGES)[:LATEST]}


_CHANGES = Part(template="core/admin/latest_changes.html", values=_latest_changes)


# The parts that were made for one person are reused for others with the same permissions for this many seconds, because
# all pages ask right after each sample, every five seconds. Parts that take more than a twentieth of that time are
# reused for this many times the processor time that they took, so that any number of viewers costs a twentieth of a
# processor.
FRESH, TIMES, EVERY = 2.0, 20, 5.0


def seconds_answered(took: float) -> float:
    """Return for how many seconds parts are answered to others, by the processor time in seconds that they took."""
    return TIMES * took if TIMES * took > EVERY else FRESH


# Parts are kept for this many kinds of viewers, those that asked last. A viewer waits this many seconds for parts that
# are being made for another one, since Redis may be slow, and then has parts of their own.
MOST_KINDS, LONGEST_WAIT = 16, 5.0


class _Parts:
    """The parts for one kind of viewers: the HTML, until when it is answered, and a lock for making it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = float("-inf")
        # The processor time that they took, and the sample of statistics as of which they were made.
        self.took, self.sample = 0.0, 0
        self.html = b""

    def is_due(self, sample: int) -> bool:
        """Say whether the parts are to be made again, for a sample of statistics: those that take long wait their
        time."""
        is_outdated = sample > self.sample and TIMES * self.took <= EVERY
        return is_outdated or time.monotonic() > self.until


class _SharedParts:
    """The parts of the first page, made once for requests of people with the same permissions at about the same
    time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By permissions, None for all, and by address.
        self._parts: dict[tuple[frozenset[str] | None, str], _Parts] = {}

    def html(self, request: HttpRequest, *, sample: int = 0) -> bytes:
        """Return the parts as HTML. It depends only on the viewer's permissions and on the server's address in their
        browser, which commands to copy contain. They are as of the sample of statistics that was taken at `sample`, or
        a later one."""
        user: Any = request.user
        permissions = None if user.is_superuser else frozenset(user.get_all_permissions())
        viewer = permissions, request.build_absolute_uri("/")
        with self._lock:
            parts = self._parts[viewer] = self._parts.pop(viewer, _Parts())
            if len(self._parts) > MOST_KINDS:
                del self._parts[next(iter(self._parts))]
        if not parts.lock.acquire(timeout=LONGEST_WAIT):
            return _render(request)
        try:
            if parts.is_due(sample):
                begun = time.thread_time()
                parts.html = _render(request)
                parts.took = time.thread_time() - begun
                parts.sample = max(sample, parts.sample)
                parts.until = time.monotonic() + seconds_answered(parts.took)
            return parts.html
        finally:
            parts.lock.release()


def _render(request: HttpRequest) -> bytes:
    return render_to_string("core/admin/home_parts.html", {"parts": _values(request)}, request).encode()


shared_parts = _SharedParts()


class _WarmUpRequest(HttpRequest):
    """A request without a sender, for a viewer with all permissions."""

    def __init__(self) -> None:
        super().__init__()
        self.method = "GET"
        self.user = get_user_model()(is_superuser=True)

    def get_host(self) -> str:
        """Return a name that is not checked against the names of this server: the page is thrown away."""
        return "localhost"


def warm_up() -> None:
    """Make the parts once and throw them away: the first viewer of this process then finds imports done, the patterns
    of addresses compiled, and the history of the last hour decoded."""
    try:
        _render(_WarmUpRequest())
    finally:
        close_stale_connections()


def parts(request: HttpRequest) -> HttpResponse:
    """Answer with the parts of the first page alone, for pages that are looked at."""
    return HttpResponse(shared_parts.html(request))


def context(request: HttpRequest, frame: dict[str, Any]) -> dict[str, Any]:
    """Return the template context of the first page (the theme's DASHBOARD_CALLBACK)."""
    return {**frame, "title": "Overview", "parts": _values(request)}
