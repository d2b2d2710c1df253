"""Identification of a request's principal: a service by its key, without a query, or a person by the admin's session.

The last use of each key is kept in memory and written to the database at intervals. A person's rights follow from
Django's permissions.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hmac import compare_digest
from importlib import import_module
from typing import Any, Literal

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user, get_user_model
from django.contrib.sessions.models import Session
from django.db import close_old_connections
from django.db.models import Q
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from core.database import checked_connections
from streams.models import Key
from streams.snapshot import holder
from synapse.auth import api_key
from synapse.auth.api_key import API_KEY, AUTHORIZATION, CREDENTIALS, PREFIX, NotAKey, presented_credential
from synapse.auth.permission import person_of
from synapse.auth.principal import EVERYTHING, Principal, Rights
from synapse.catalog.stream_definitions import KeyDefinition
from synapse.problems import Unauthenticated

# A key's row is written at most once in this many seconds, by all processes together.
WRITE_INTERVAL = 60.0

# The time of the last use by key id. Only valid keys are recorded, so their number bounds it.
_used: dict[str, float] = {}


def record_use(key_id: str) -> None:
    """Record that a key was used at this moment."""
    _used[key_id] = time.time()


def write_last_uses() -> None:
    """Write the last uses of keys to the database. The catalog's version stays, because no process needs to reload."""
    if not _used:
        return
    close_old_connections()
    for key_id in list(_used):
        moment = datetime.fromtimestamp(_used.pop(key_id), UTC)
        is_due = Q(last_used_at=None) | Q(last_used_at__lte=moment - timedelta(seconds=WRITE_INTERVAL - 1))
        Key.objects.filter(is_due, key_id=key_id).update(last_used_at=moment)


def forget_uses() -> None:
    """Drop the recorded uses of keys that are not written yet."""
    _used.clear()


OPEN, REQUIRED = "open", "required"
_SHOW = "Show a key: Authorization: Bearer KEY, X-API-Key: KEY, or Basic with the key as the password."


def identify(headers: Mapping[str, str], *, address: str = "") -> Principal:
    """Return the principal of a request from its headers, whose names are in lower case. Without a key, callers are
    anonymous where access is open.

    Raises:
        Unauthenticated: when the key is invalid, or is required and missing.
    """
    text = None if headers.keys().isdisjoint(CREDENTIALS) else presented_credential(headers, settings.KEY_ENVIRONMENT)
    if settings.AUTH == OPEN and (text is None or _is_foreign(text, headers)):
        return _intern_principal("anonymous", "anonymous", "", address, EVERYTHING)  # type: ignore[arg-type]  # see below
    if text is None:
        raise Unauthenticated(f"A key is needed here. {_SHOW}")
    return principal_of_key(_find_key(text), address=address)


def principal_of_key(key: KeyDefinition, *, address: str = "") -> Principal:
    """Return the service that owns a key.

    Raises:
        Unauthenticated: when the key has expired.
    """
    if key.expires is not None and key.expires <= time.time():
        raise Unauthenticated(f"The key {key.id} of {key.service} has expired.")
    record_use(key.id)
    return _intern_principal("service", key.service, key.id, address, key.rights)


@lru_cache(maxsize=1024)
def _intern_principal(
    kind: Literal["anonymous", "service"], name: str, key: str, address: str, rights: Rights
) -> Principal:
    """Return a principal from the cache, which is several times faster than building one. Rights are compared by
    identity: each snapshot of the catalog has its own objects.
    """
    return Principal(kind=kind, name=name, key=key, address=address, rights=rights)


def has_only_session(headers: Mapping[str, str]) -> bool:
    """Say whether the only credential of a request is a session of the admin, where credentials are required.

    Finding the person takes a query, so the fast path leaves such requests to Django.
    """
    return (
        "cookie" in headers
        and settings.AUTH == REQUIRED
        and not headers.get(AUTHORIZATION)
        and not headers.get(API_KEY)
        and f"{settings.SESSION_COOKIE_NAME}=" in headers["cookie"]
    )


def _find_key(text: str) -> KeyDefinition:
    digest = api_key.digest(text)
    found = holder.current().keys.get(digest)
    if found is None or not compare_digest(found.digest, digest):
        raise Unauthenticated(_why_unknown(text))
    return found


def _is_foreign(text: str, headers: Mapping[str, str]) -> bool:
    """Say whether an Authorization header is meant for another system, such as a gateway: open access admits it."""
    return not text.startswith(PREFIX) and not headers.get(API_KEY)


def _why_unknown(text: str) -> str:
    try:
        environment, id_ = api_key.parse_key(text)
    except NotAKey as error:
        return f"This is not a key. {error}"
    if environment != settings.KEY_ENVIRONMENT:
        return f"The key {id_} is for “{environment}”, and this is “{settings.KEY_ENVIRONMENT}”."
    return f"The key {id_} is not known here: it was revoked, or never issued here."


@checked_connections()
def person_of_session(headers: Mapping[str, str], address: str) -> Principal | None:
    """Return the person logged in with the session cookie, or None. Queries the database; call it in a thread."""
    cookie = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    return load_session_person(cookie, address=address) if cookie else None


def load_session_person(session: str, *, address: str = "") -> Principal | None:
    """Return the person logged in with a session, or None when it has ended. Queries the database."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session)
    user = get_user(request)
    return replace(person_of(user, address=address), session=session) if user.is_authenticated else None


def recheck_people(people: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Principal | None]:
    """Recheck many people at once, given as name and session: two queries for all usual sessions.

    Returns:
        For each name and session, the result of `recheck_person`.
    """
    store, model = import_module(settings.SESSION_ENGINE).SessionStore(), get_user_model()
    rows = Session.objects.filter(session_key__in={session for _, session in people}, expire_date__gt=timezone.now())
    data = {row.session_key: store.decode(row.session_data) for row in rows}
    users = {str(user.pk): user for user in model.objects.filter(username__in={name for name, _ in people})}
    found: dict[tuple[str, str], Principal | None] = {}
    for name, session in people:
        known = data.get(session, {})
        user = users.get(known.get(SESSION_KEY, ""))
        if user is not None and user.get_username() == name and _is_usual(known, user):
            found[name, session] = replace(person_of(user, address=""), session=session)
        else:
            found[name, session] = recheck_person(name, session)
    return found


def _is_usual(session: Mapping[str, str], user: Any) -> bool:
    """Say whether session data logs a user in, by the rules of `django.contrib.auth.get_user` for sessions that were
    begun with a password and the current secret key.
    """
    return (
        user.is_active
        and session.get(BACKEND_SESSION_KEY) == _BACKEND in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())
    )


_BACKEND = "django.contrib.auth.backends.ModelBackend"


def recheck_person(name: str, session: str, address: str = "") -> Principal | None:
    """Return the person with this name while their session is logged in, else None. Without a session (""), return the
    person while they are active.
    """
    if session:
        found = load_session_person(session, address=address)
        return found if found is not None and found.name == name else None
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    return None if user is None else person_of(user, address=address)


def current_rights(principal: Principal) -> Rights:
    """Return the rights of a principal under the current catalog: a key's rights may have changed since its request
    began.

    Raises:
        Unauthenticated: when the principal's key was revoked, or has expired.
    """
    if not principal.key:
        return principal.rights
    key = holder.current().keys_by_id.get(principal.key)
    if key is None or (key.expires is not None and key.expires <= time.time()):
        raise Unauthenticated(f"The key {principal.key} was revoked, or has expired.")
    return key.rights
