"""Whose a request is that goes to Django, as far as can be told without asking the database.

A key is looked up in the snapshot. A session is known for a while after Django has answered a request that came with
it: an invented one never is, and its sender shares what anonymous callers have.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.http.cookie import parse_cookie

from core.addresses import one_caller
from core.problems import Problem
from streams import access
from streams.access.identifying import OPEN
from synapse_project.thread_pools import PoolLimits, Quota

# Under this name Django's side tells, in the WSGI environment, whose session a request came with or began.
PERSON = "synapse.person"
_MOST_SESSIONS = 4096
_SECONDS = 600.0


class KnownSessions:
    """The sessions with which people came lately, and whose each is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def person(self, headers: Mapping[str, str]) -> str | None:
        """Return whose session a request comes with; None when that is not known."""
        if settings.SESSION_COOKIE_NAME not in headers.get("cookie", ""):
            return None
        session = parse_cookie(headers["cookie"]).get(settings.SESSION_COOKIE_NAME, "")
        person, until = self._people.get(session, ("", 0.0))
        return person if self._clock() < until else None

    def learn(self, environ: Mapping[str, Any]) -> None:
        """Remember whose session it was with which a request came that Django has answered."""
        if PERSON in environ:
            session, person = environ[PERSON]
            self._people[session] = (f"person:{person}", self._clock() + _SECONDS)
            self._people.move_to_end(session)
            if len(self._people) > _MOST_SESSIONS:
                self._people.popitem(last=False)


def person_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tell the front door whose session a request came with, or began, where answering it took the session."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        if session is not None and session.accessed and session.session_key and (person := session.get(SESSION_KEY)):
            request.META[PERSON] = (session.session_key, str(person))
        return response

    return middleware


def quotas_of(headers: Mapping[str, str], address: str, sessions: KnownSessions, limits: PoolLimits) -> list[Quota]:
    """Return what limits a request in a pool: its caller's quota, and with anonymous callers the one of them all."""
    if (caller := _service(headers) or sessions.person(headers)) is not None:
        return [Quota(caller, *limits.caller)]
    if settings.AUTH == OPEN:
        return [Quota(one_caller(address), *limits.caller)]
    return [Quota(one_caller(address), *limits.address), Quota("anonymous", *limits.anonymous)]


def _service(headers: Mapping[str, str]) -> str | None:
    try:
        principal = access.identify(headers)
    except Problem:
        return None
    return str(principal) if principal.key else None
