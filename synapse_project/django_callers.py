"""Whose a request is that goes to Django, as far as can be told without asking the database.

A key is looked up in the snapshot. A session is known for a while after Django has answered a request that came with
it: an invented one never is, and its sender shares what anonymous callers have. Only before a large body is read the
database is asked.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.http.cookie import parse_cookie

from core import database_errors
from streams import access
from streams.access import people
from synapse.auth.principal import Principal
from synapse.problems import Problem
from synapse.server.config import Sender
from synapse.shares.callers import CallerId, caller_at, caller_of

# Under this name Django's side tells, in the WSGI environment, whose session a request came with or began.
PERSON = "synapse.person"
_MOST_SESSIONS = 4096
_SECONDS = 600.0
# Looks sessions up, two at a time: inventing sessions takes no more of the database than that.
_LOOKUPS = ThreadPoolExecutor(2, thread_name_prefix="sessions")
_ADMIN = "/admin/"


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
        if session is not None and session.accessed and session.session_key and (person := _person(request.user)):
            request.META[PERSON] = (session.session_key, person)
        return response

    return middleware


def _person(user: Any) -> str:
    """Return the name of the person who is logged in, "" when nobody is.

    Views of the API put a principal there, and nothing when they refuse to know the caller.
    """
    if user is None:
        return ""
    if isinstance(user, Principal):
        return user.name if user.kind == "person" else ""
    return user.get_username() if user.is_authenticated else ""


def sender_of(path: str, headers: Mapping[str, str], address: str, sessions: KnownSessions) -> Sender:
    """Return who sends a request that Django answers: a service, a person whose session is known, or an address."""
    refusal = None
    try:
        principal = access.identify(headers, address=address)
        if principal.kind == "service":
            return Sender(caller_of(principal), address)
    except Problem as problem:
        # Forms of the admin ask for no key: an answer that did would mislead people.
        refusal = None if path.startswith(_ADMIN) else problem.with_traceback(None)
    person = sessions.person(headers)
    return Sender(caller_at(address) if person is None else CallerId("person", person), address, refusal)


async def person_of(headers: Mapping[str, str], address: str) -> CallerId | None:
    """Return who is logged in with the session that a request shows; None when nobody is. Asks the database.

    Raises:
        DatabaseDown: when it cannot be asked.
    """
    if not access.is_a_persons(headers):
        return None
    try:
        person = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, _of_session, headers, address)
    except DatabaseError as error:
        raise database_errors.as_problem(error) or error from None
    return None if person is None else caller_of(person)


def _of_session(headers: Mapping[str, str], address: str) -> Principal | None:
    close_old_connections()
    return people.of_session(headers, address=address)
