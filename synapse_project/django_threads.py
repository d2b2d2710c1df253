"""Run Django's synchronous handler in small thread pools that callers share fairly, with one thread hop per request.

Slow work has separate threads, chosen by path, so that other requests do not wait for it: hashing passwords (a third of
a second of processor time), generating Python code for a contract (seconds), and checking schemas or testing them on
events (waits for a child process of `synapse.sandbox`).

The caller is identified without a query where possible: by a key in the snapshot, or a session that Django answered
recently. Unknown sessions share the limits of anonymous callers. The database is queried only before a large body is
read.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.cookie import parse_cookie

from core import database
from streams import access
from streams.access import identification
from streams.connections import shares_of
from synapse.auth.principal import Principal
from synapse.http.hosts import SAFE_METHODS
from synapse.problems import Problem
from synapse.server import request_guard
from synapse.server.config import DjangoAnswer, Sender
from synapse.shares import Limits
from synapse.shares.counter import CallerId, caller_at, caller_of
from synapse.shares.fair_pool import FairPool

# The key in the WSGI environment under which Django's side returns the session of a request and its person.
PERSON = "synapse.person"
_MOST_SESSIONS = 4096
_SECONDS = 600.0
# Looks up sessions, at most two at a time, so that requests with invented sessions cannot overload the database.
_LOOKUPS = ThreadPoolExecutor(2, thread_name_prefix="sessions")
_ADMIN = "/admin/"


class KnownSessions:
    """A cache of recently used sessions and their persons."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._people: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def find_person(self, headers: Mapping[str, str]) -> str | None:
        """Return the person of a request's session, None if unknown."""
        if settings.SESSION_COOKIE_NAME not in headers.get("cookie", ""):
            return None
        session = parse_cookie(headers["cookie"]).get(settings.SESSION_COOKIE_NAME, "")
        person, until = self._people.get(session, ("", 0.0))
        return person if self._clock() < until else None

    def remember(self, environ: Mapping[str, Any]) -> None:
        """Remember the person of a session after Django has answered a request."""
        if PERSON in environ:
            session, person = environ[PERSON]
            self._people[session] = (person, self._clock() + _SECONDS)
            self._people.move_to_end(session)
            if len(self._people) > _MOST_SESSIONS:
                self._people.popitem(last=False)


def person_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Report the person of a request's session to the front door if Django loaded or created the session."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        if session is not None and session.accessed and session.session_key and (person := _name_of(request.user)):
            request.META[PERSON] = (session.session_key, person)
        return response

    return middleware


def _name_of(user: Any) -> str:
    """Return the name of the logged-in person, "" if nobody is logged in.

    Views of the API set `user` to a principal, or to None if they refuse the caller.
    """
    if user is None:
        return ""
    if isinstance(user, Principal):
        return user.name if user.kind == "person" else ""
    return user.get_username() if user.is_authenticated else ""


# One thread, shared by all callers.
_ONE = Limits(total=1, per_caller=1, per_address=1, anonymous=1)
# Forms whose POST checks or sets a password.
_PASSWORD_FORMS = re.compile(r"/admin/(?:login/|password_change/|auth/user/(?:add/|[^/]+/password/))")
_PYTHON_CODE = re.compile(r"/admin/contracts/contract/[^/]+/versions/[^/]+/python/")

# Requests with a schema to check and compare, and requests that test a schema on events.
_SCHEMAS = re.compile(
    r"/registry/compatibility/.*|/registry/subjects/[^/]+/versions/?|/admin/contracts/contract/"
    r"(?:add/|verdict/|[^/]+/(?:change|verdict|activate)/|[^/]+/versions/[^/]+/restore/)"
)
_BACK_TESTS = re.compile(r"/streams/[^/]+/event-types/[^/]+/backtest|/admin/contracts/contract/[^/]+/back-test/")


class DjangoHandler:
    """Answers requests with Django, through its WSGI handler (PEP 3333)."""

    def __init__(self) -> None:
        self._handler = WSGIHandler()
        self.sessions = KnownSessions()
        self._general = FairPool(
            "django", threads=shares_of("django-threads").limits, requests=shares_of("django-requests")
        )
        self._passwords = FairPool("django-passwords", threads=_ONE, requests=shares_of("password-requests"))
        self._python_code = FairPool("django-python-code", threads=_ONE, requests=shares_of("code-requests"))
        self._schemas = FairPool("django-schemas", threads=_ONE, requests=shares_of("schema-requests"))
        self._back_tests = FairPool("django-back-tests", threads=_ONE, requests=shares_of("back-test-requests"))

    async def __call__(self, scope: Mapping[str, Any], body: bytes, sender: Sender) -> DjangoAnswer:
        """Return the response's status, headers and body.

        Raises:
            ShareUsedUp, AllInUse: when too many requests for the same pool are waiting, of this caller or of all
                callers.
        """
        environ = _make_environ(scope, body)
        answer = await self.pool_of(scope["method"], scope["path"]).run(sender.caller, self._run_handler, environ)
        self.sessions.remember(environ)
        return answer

    def sender_of(self, path: str, headers: Mapping[str, str], address: str) -> Sender:
        """Return the sender of a request: a service, a person with a known session, or an address."""
        refusal = None
        try:
            principal = access.identify(headers, address=address)
            if principal.kind == "service":
                return Sender(caller_of(principal), address)
        except Problem as problem:
            # The admin does not use API keys: an error about one would mislead people.
            refusal = None if path.startswith(_ADMIN) else problem.with_traceback(None)
        person = self.sessions.find_person(headers)
        return Sender(caller_at(address) if person is None else CallerId("person", person), address, refusal)

    async def person_of(self, headers: Mapping[str, str], address: str) -> CallerId | None:
        """Look up the person logged in with the request's session in the database. None if there is none.

        Raises:
            DatabaseDown: when the database is unavailable.
        """
        if not access.has_only_session(headers):
            return None
        try:
            person = await asyncio.get_running_loop().run_in_executor(
                _LOOKUPS, identification.person_of_session, headers, address
            )
        except DatabaseError as error:
            raise database.database_problem(error) or error from None
        return None if person is None else caller_of(person)

    def pool_of(self, method: str, path: str) -> FairPool:
        """Return the thread pool for a request."""
        if method not in SAFE_METHODS and _PASSWORD_FORMS.fullmatch(path):
            return self._passwords
        if _PYTHON_CODE.fullmatch(path):
            return self._python_code
        if method not in SAFE_METHODS and _BACK_TESTS.fullmatch(path):
            return self._back_tests
        if method not in SAFE_METHODS and _SCHEMAS.fullmatch(path):
            return self._schemas
        return self._general

    def _run_handler(self, environ: dict[str, Any]) -> DjangoAnswer:
        status = 500
        headers: list[tuple[bytes, bytes]] = []

        def start_response(line: str, pairs: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line[:3])
            headers.extend((name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in pairs)
            return lambda _: None  # PEP 3333's deprecated write function, which Django never calls

        response = self._handler(environ, start_response)
        try:
            content = b"".join(response)
        finally:
            response.close()
        if environ["REQUEST_METHOD"] == "HEAD":
            content = b""
        return status, headers, content


# These describe the body as it was sent. It has been read and decoded.
_OF_SENT_BODY = frozenset(("CONTENT_LENGTH", "CONTENT_ENCODING"))


def _make_environ(scope: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # PEP 3333: texts in the environ are bytes decoded as Latin-1.
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "RAW_URI": scope.get("raw_path", b"").decode("latin-1") or quote(scope["path"]),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        request_guard.COUNTED: True,
    }
    for raw_name, raw_text in scope["headers"]:
        name, text = raw_name.decode("latin-1").upper().replace("-", "_"), raw_text.decode("latin-1")
        if b"_" in raw_name or name in _OF_SENT_BODY:
            # Otherwise X_Forwarded_For could not be distinguished from X-Forwarded-For.
            continue
        key = name if name == "CONTENT_TYPE" else f"HTTP_{name}"
        joint = "; " if name == "COOKIE" else ","
        environ[key] = environ[key] + joint + text if key in environ else text
    return environ
