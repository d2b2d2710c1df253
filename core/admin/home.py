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
    """Add a part to the first page, below the parts added before and above the latest changes."""
    _parts.append(part)


def _values_of_parts(request: HttpRequest) -> list[dict[str, Any]]:
    return [{"template": part.template, "values": part.values(request)} for part in (*_parts, _CHANGES)]


def _latest_changes(request: HttpRequest) -> Mapping[str, Any]:
    if not request.user.has_perm("core.view_auditentry"):
        return {"may_see": False}
    return {"may_see": True, "entries": AuditEntry.objects.exclude(action__in=NO_CHANGES)[:LATEST]}


_CHANGES = Part(template="core/admin/latest_changes.html", values=_latest_changes)


# All open pages fetch the parts right after each sample of statistics, which is taken every EVERY seconds. So rendered
# parts are reused for other people with the same permissions for FRESH seconds. Parts whose rendering takes more than a
# twentieth of EVERY are reused for TIMES times their processor time: any number of viewers costs at most a twentieth of
# a processor.
FRESH, TIMES, EVERY = 2.0, 20, 5.0


def seconds_answered(took: float) -> float:
    """Return for how many seconds rendered parts are reused, given the processor time in seconds that rendering
    took.
    """
    return TIMES * took if TIMES * took > EVERY else FRESH


# The cache holds parts for MOST_KINDS kinds of viewers, the most recent ones. A viewer waits at most LONGEST_WAIT
# seconds while another request renders the same parts, since Redis may be slow, and then renders their own.
MOST_KINDS, LONGEST_WAIT = 16, 5.0


class _Parts:
    """Cached parts for one kind of viewers: the HTML, its expiry (`until`, monotonic clock), and a lock for
    rendering.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = float("-inf")
        # The processor time in seconds that rendering took, and the sample of statistics that the parts show.
        self.took, self.sample = 0.0, 0
        self.html = b""

    def is_due(self, sample: int) -> bool:
        """Say whether the parts must be rendered again for a sample of statistics. Expensive parts ignore new samples
        until they expire.
        """
        is_outdated = sample > self.sample and TIMES * self.took <= EVERY
        return is_outdated or time.monotonic() > self.until


class _SharedParts:
    """The parts of the first page, rendered once for concurrent requests of people with the same permissions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By permissions (None: all of them) and the server's address.
        self._parts: dict[tuple[frozenset[str] | None, str], _Parts] = {}

    def html(self, request: HttpRequest, *, sample: int = 0) -> bytes:
        """Return the parts as HTML, as of the sample of statistics taken at `sample` (seconds) or a later one. The HTML
        depends only on the viewer's permissions and on the server's address in their browser, which the commands to
        copy contain.
        """
        user: Any = request.user
        permissions = None if user.is_superuser else frozenset(user.get_all_permissions())
        viewer = permissions, request.build_absolute_uri("/")
        with self._lock:
            parts = self._parts[viewer] = self._parts.pop(viewer, _Parts())
            if len(self._parts) > MOST_KINDS:
                del self._parts[next(iter(self._parts))]
        if not parts.lock.acquire(timeout=LONGEST_WAIT):
            return _render_parts(request)
        try:
            if parts.is_due(sample):
                begun = time.thread_time()
                parts.html = _render_parts(request)
                parts.took = time.thread_time() - begun
                parts.sample = max(sample, parts.sample)
                parts.until = time.monotonic() + seconds_answered(parts.took)
            return parts.html
        finally:
            parts.lock.release()


def _render_parts(request: HttpRequest) -> bytes:
    return render_to_string("core/admin/home_parts.html", {"parts": _values_of_parts(request)}, request).encode()


shared_parts = _SharedParts()


class _WarmUpRequest(HttpRequest):
    """A request without a sender, for a viewer with all permissions."""

    def __init__(self) -> None:
        super().__init__()
        self.method = "GET"
        self.user = get_user_model()(is_superuser=True)

    def get_host(self) -> str:
        """Return a fixed name without checking it against the server's names: the page is thrown away."""
        return "localhost"


def warm_up() -> None:
    """Render the parts once and throw them away, so that imports, URL patterns and the statistics of the last hour are
    loaded before the first viewer of this process comes.
    """
    try:
        _render_parts(_WarmUpRequest())
    finally:
        close_stale_connections()


def parts(request: HttpRequest) -> HttpResponse:
    """Answer with the parts of the first page alone, for pages that refresh themselves."""
    return HttpResponse(shared_parts.html(request))


def context(request: HttpRequest, frame: dict[str, Any]) -> dict[str, Any]:
    """Return the template context of the first page (the theme's DASHBOARD_CALLBACK)."""
    return {**frame, "title": "Overview", "parts": _values_of_parts(request)}
