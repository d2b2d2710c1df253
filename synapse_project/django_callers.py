"""Whose a request is that goes to Django, as far as can be told without asking the database.

A key is looked up in the snapshot. A session is known for a while after Django has answered a request that came with
it: an invented one never is, and its sender shares what anonymous callers have.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.cookie import parse_cookie

from core.problems import Problem
from core.shares.callers import CallerId, caller_at, caller_of
from streams import access

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
            self._people[session] = (person, self._clock() + _SECONDS)
            self._people.move_to_end(session)
            if len(self._people) > _MOST_SESSIONS:
                self._people.popitem(last=False)


def person_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tell the front door whose session a request came with, or began, where answering it took the session."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        if session is not None and session.accessed and session.session_key and request.user.is_authenticated:
            request.META[PERSON] = (session.session_key, request.user.get_username())
        return response

    return middleware


def caller_of_headers(headers: Mapping[str, str], address: str, sessions: KnownSessions) -> CallerId:
    """Return whose a request is: a service's, a person's, or that of an anonymous caller."""
    try:
        principal = access.identify(headers, address=address)
    except Problem:
        principal = None
    if principal is not None and principal.kind == "service":
        return caller_of(principal)
    person = sessions.person(headers)
    return caller_at(address) if person is None else CallerId("person", person)
