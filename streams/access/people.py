"""People who come with a session of the admin: who they are, and what their Django permissions let them do here."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.http import HttpRequest
from django.http.cookie import parse_cookie

from synapse.auth.people import person_of
from synapse.auth.principal import Principal


def of_session(headers: Mapping[str, str], *, address: str = "") -> Principal | None:
    """Return who is logged in with the session that the cookies name; None when nobody is. Asks the database."""
    cookie = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    return logged_in(cookie, address=address) if cookie else None


def logged_in(session: str, *, address: str = "") -> Principal | None:
    """Return who is logged in with a session; None when that has ended. Asks the database."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session)
    user = get_user(request)
    return replace(person_of(user, address=address), session=session) if user.is_authenticated else None


def named(username: str, *, address: str = "") -> Principal | None:
    """Return the person with this name; None when there is none, or they may not log in any more."""
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    return None if user is None else person_of(user, address=address)
