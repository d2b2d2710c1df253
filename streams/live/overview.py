"""The admin's overview, pushed to its viewers with each sample. It is rendered once for all viewers with the same
permissions, and sent as the lines that changed.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import Error as DatabaseProblem
from django.http import HttpRequest

from core.admin import home
from core.database import checked_connections
from streams.access import identification
from streams.live.session_revalidation import ViewerPermission
from synapse.auth.permission import PersonRights
from synapse.auth.principal import EVERYTHING, Principal
from synapse.http.exchange import Request
from synapse.runtime.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)


class _Viewer(AnonymousUser):
    """Takes the place of a Django user in a request, which saves a query. Has the given permissions, or with None
    all.
    """

    is_active, is_anonymous, is_authenticated = True, False, True  # type: ignore[assignment]  # constants in the base class

    def __init__(self, permissions: frozenset[str] | None) -> None:
        self.is_superuser = permissions is None  # type: ignore[assignment]  # a constant in the base class
        self._permissions = permissions or frozenset()

    def get_all_permissions(self, obj: object = None) -> set[str]:
        """Return all permissions."""
        return set(self._permissions)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Say whether the viewer has a permission."""
        return self.is_superuser or perm in self._permissions

    def has_module_perms(self, module: str) -> bool:
        """Say whether the viewer has any permission of an app."""
        return self.is_superuser or any(each.startswith(f"{module}.") for each in self._permissions)


@dataclass(frozen=True, slots=True)
class ViewerKind:
    """Viewers with the same permissions, at the same address.

    Attributes:
        permissions: the viewers' permissions, None for all permissions.
        address: the headers from which Django derives the server's address, which is part of commands on the page.
    """

    permissions: frozenset[str] | None
    address: tuple[tuple[str, str], ...]

    @property
    def request(self) -> HttpRequest:
        """A request of such a viewer, to render the parts of the overview with."""
        request = HttpRequest()
        request.method = "GET"
        request.META.update(self.address)
        request.user = _Viewer(self.permissions)
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewFrames:
    """The overview as server-sent events.

    Attributes:
        number: identifies this rendering of the overview.
        lines: the lines of the HTML.
        whole: the event with the whole overview.
        follows: the number of the rendering to which `changes` apply, 0 without changes.
        changes: the event with the changed lines.
    """

    number: int
    lines: list[str]
    whole: bytes
    follows: int = 0
    changes: bytes = b""


_numbers = count(1)


def frames_of(html: str, before: OverviewFrames | None) -> OverviewFrames:
    """Return the frames of a rendered overview, with the changes since the rendering `before`."""
    lines = html.split("\n")
    whole = _event_of({"html": html})
    if before is None or len(before.lines) != len(lines):
        return OverviewFrames(number=next(_numbers), lines=lines, whole=whole)
    pairs = zip(before.lines, lines, strict=True)
    changes = _event_of({"lines": {str(place): line for place, (old, line) in enumerate(pairs) if line != old}})
    return OverviewFrames(number=next(_numbers), lines=lines, whole=whole, follows=before.number, changes=changes)


def _event_of(data: Mapping[str, Any]) -> bytes:
    return b"event: overview\ndata: %s\n\n" % orjson.dumps(data)


class PushedOverview:
    """The overview as of the latest sample, by kind of viewers."""

    def __init__(self) -> None:
        self._made: dict[ViewerKind, tuple[int, asyncio.Task[OverviewFrames | None]]] = {}

    async def get(self, kind: ViewerKind, at: int) -> OverviewFrames | None:
        """Return the frames for a kind of viewers as of the sample taken at `at`; while an earlier overview is still
        being rendered, that one; None when rendering fails.
        """
        made_at, task = self._made.pop(kind, (0, None))
        if task is None or (made_at != at and task.done()):
            before = None if task is None else task.result()
            made_at, task = (
                at,
                asyncio.create_task(asyncio.to_thread(_render_overview, kind, at, before), name="overview"),
            )
        self._made[kind] = made_at, task
        if len(self._made) > home.MOST_KINDS:
            del self._made[next(iter(self._made))]
        return await asyncio.shield(task)


_failures = RepeatedFailures()


@checked_connections()
def _render_overview(kind: ViewerKind, at: int, before: OverviewFrames | None) -> OverviewFrames | None:
    try:
        html = home.shared_parts.html(kind.request, sample=at).decode()
    except Exception as problem:  # such as an unavailable database; statistics are still pushed
        name = type(problem).__name__
        if _failures.is_new(name):
            is_known = isinstance(problem, DatabaseProblem)
            logger.warning("the overview cannot be pushed: %s", name, exc_info=None if is_known else problem)
        return None
    _failures.end()
    return frames_of(html, before)


OVERVIEW = PushedOverview()


def _address_headers() -> Iterator[tuple[str, str]]:
    """Yield the headers from which Django derives the server's address, with their keys in a request's `META`."""
    yield "host", "HTTP_HOST"
    if settings.USE_X_FORWARDED_HOST:
        yield "x-forwarded-host", "HTTP_X_FORWARDED_HOST"
    if settings.SECURE_PROXY_SSL_HEADER:
        yield "x-forwarded-proto", "HTTP_X_FORWARDED_PROTO"


class OverviewViewer:
    """One viewer of the overview.

    Attributes:
        person: the viewer.
    """

    def __init__(self, person: Principal, headers: Mapping[str, str]) -> None:
        self.person = person
        self._address = tuple((key, headers[name]) for name, key in _address_headers() if name in headers)
        # The number of the rendering that was sent last, 0 before.
        self._sent_number = 0

    async def next_frame(self, permission: ViewerPermission, at: int) -> bytes:
        """Return the event that updates the viewer's overview to the sample taken at `at`. Empty when nothing changed,
        or when rendering fails: then the page requests the overview, and shows the error.
        """
        rights = permission.rights
        if not (rights is EVERYTHING or isinstance(rights, PersonRights)):
            return b""
        kind = ViewerKind(rights.permissions if isinstance(rights, PersonRights) else None, self._address)
        frames = await OVERVIEW.get(kind, at)
        if frames is None or frames.number == self._sent_number:
            return b""
        had, self._sent_number = self._sent_number, frames.number
        return frames.changes if had and had == frames.follows else frames.whole


async def viewer_of(request: Request, by: Principal) -> OverviewViewer | None:
    """Return the viewer of the overview for a request for statistics. None when the request has no session of the
    admin, or when the person may not watch statistics.
    """
    person: Principal | None = by
    if by.kind == "anonymous":
        # Where access is open, `identify` does not look at sessions.
        person = await asyncio.to_thread(identification.person_of_session, request.headers, by.address)
    if person is None or person.kind != "person" or not person.rights.has("metrics:read"):
        return None
    return OverviewViewer(person, request.headers)
