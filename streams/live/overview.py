"""The admin's overview, pushed to its viewers with each sample: made once for all viewers of a process with the same
permissions, and sent as the lines that changed."""

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
    """A viewer with some permissions, None for all: stands for a Django user, whom a query would have to find."""

    is_active, is_anonymous, is_authenticated = True, False, True  # type: ignore[assignment]  # there they are constants

    def __init__(self, permissions: frozenset[str] | None) -> None:
        self.is_superuser = permissions is None  # type: ignore[assignment]  # as above
        self._permissions = permissions or frozenset()

    def get_all_permissions(self, obj: object = None) -> set[str]:
        """Return the permissions."""
        return set(self._permissions)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Say whether a permission is among them."""
        return self.is_superuser or perm in self._permissions

    def has_module_perms(self, module: str) -> bool:
        """Say whether any permission of an app is among them."""
        return self.is_superuser or any(each.startswith(f"{module}.") for each in self._permissions)


@dataclass(frozen=True, slots=True)
class Kind:
    """Viewers with the same permissions, at the same address.

    Attributes:
        permissions: those of the viewers, None for all.
        address: the headers that tell at which address they see the server: commands that can be copied name it.
    """

    permissions: frozenset[str] | None
    address: tuple[tuple[str, str], ...]

    @property
    def request(self) -> HttpRequest:
        """A request of such a viewer for the parts of the overview."""
        request = HttpRequest()
        request.method = "GET"
        request.META.update(self.address)
        request.user = _Viewer(self.permissions)
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The overview as server-sent events.

    Attributes:
        number: tells it from all others.
        lines: its lines.
        whole: all of it.
        follows: the number of the one to which `changes` apply, 0 without any.
        changes: the lines that are others.
    """

    number: int
    lines: list[str]
    whole: bytes
    follows: int = 0
    changes: bytes = b""


_numbers = count(1)


def frames_of(html: str, before: Frames | None) -> Frames:
    """Return the frames of the overview; viewers that have the one before get only the changed lines."""
    lines = html.split("\n")
    whole = _frame({"html": html})
    if before is None or len(before.lines) != len(lines):
        return Frames(number=next(_numbers), lines=lines, whole=whole)
    pairs = zip(before.lines, lines, strict=True)
    changes = _frame({"lines": {str(place): line for place, (old, line) in enumerate(pairs) if line != old}})
    return Frames(number=next(_numbers), lines=lines, whole=whole, follows=before.number, changes=changes)


def _frame(data: Mapping[str, Any]) -> bytes:
    return b"event: overview\ndata: %s\n\n" % orjson.dumps(data)


class PushedOverview:
    """The overview as of the latest sample, by kind of viewers."""

    def __init__(self) -> None:
        self._made: dict[Kind, tuple[int, asyncio.Task[Frames | None]]] = {}

    async def get(self, kind: Kind, at: int) -> Frames | None:
        """Return the frames for viewers of a kind as of the sample that was taken at `at`, or while those of one
        before are being made, these; None when they cannot be made.
        """
        made_at, task = self._made.pop(kind, (0, None))
        if task is None or (made_at != at and task.done()):
            before = None if task is None else task.result()
            made_at, task = at, asyncio.create_task(asyncio.to_thread(_make, kind, at, before), name="overview")
        self._made[kind] = made_at, task
        if len(self._made) > home.MOST_KINDS:
            del self._made[next(iter(self._made))]
        return await asyncio.shield(task)


_failures = RepeatedFailures()


@checked_connections()
def _make(kind: Kind, at: int, before: Frames | None) -> Frames | None:
    try:
        html = home.shared_parts.html(kind.request, sample=at).decode()
    except Exception as problem:  # such as an unavailable database: statistics are still pushed
        name = type(problem).__name__
        if _failures.is_new(name):
            is_known = isinstance(problem, DatabaseProblem)
            logger.warning("the overview cannot be pushed: %s", name, exc_info=None if is_known else problem)
        return None
    _failures.end()
    return frames_of(html, before)


OVERVIEW = PushedOverview()


def _address_headers() -> Iterator[tuple[str, str]]:
    """Yield the headers by which Django tells an installation's address, with their keys in a request's `META`."""
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
        # The number of the frames that were sent last.
        self._has = 0

    async def frame(self, permission: ViewerPermission, at: int) -> bytes:
        """Return what brings the viewer's overview up to date with the sample that was taken at `at`; nothing when it
        cannot be made: then the page asks for it, and says why there is none."""
        rights = permission.rights
        if not (rights is EVERYTHING or isinstance(rights, PersonRights)):
            return b""
        kind = Kind(rights.permissions if isinstance(rights, PersonRights) else None, self._address)
        frames = await OVERVIEW.get(kind, at)
        if frames is None or frames.number == self._has:
            return b""
        had, self._has = self._has, frames.number
        return frames.changes if had and had == frames.follows else frames.whole


async def viewer_of(request: Request, by: Principal) -> OverviewViewer | None:
    """Return the viewer of the overview that a request for statistics comes from, None when nobody is logged in to the
    admin with it, or may not watch statistics."""
    person: Principal | None = by
    if by.kind == "anonymous":
        # Where access is open, a session is not looked at otherwise.
        person = await asyncio.to_thread(identification.person_of_session, request.headers, by.address)
    if person is None or person.kind != "person" or not person.rights.has("metrics:read"):
        return None
    return OverviewViewer(person, request.headers)
