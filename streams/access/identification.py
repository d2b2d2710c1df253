"""From the headers of a request to its principal: a look into the snapshot, and no query."""

import time
from collections.abc import Mapping
from functools import lru_cache
from hmac import compare_digest
from typing import Literal

from django.conf import settings

from streams.access import key_usage
from streams.snapshot import holder
from synapse.auth import api_key
from synapse.auth.api_key import PREFIX, NotAKey
from synapse.auth.credentials import (
    API_KEY,
    AUTHORIZATION,
    CREDENTIALS,
    shown,
)
from synapse.auth.principal import Principal
from synapse.auth.rights import EVERYTHING, Rights
from synapse.catalog.stream_definitions import KeyDefinition
from synapse.problems import Unauthenticated

OPEN, REQUIRED = "open", "required"
_SHOW = "Show a key: Authorization: Bearer KEY, X-API-Key: KEY, or Basic with the key as the password."


def identify(headers: Mapping[str, str], *, address: str = "") -> Principal:
    """Return the principal of a request, from its headers (lower-case names). Nobody in particular, where access is
    open and no key is shown.

    Raises:
        Unauthenticated: when the key is not good, or one is required and none is shown.
    """
    text = None if headers.keys().isdisjoint(CREDENTIALS) else shown(headers, settings.KEY_ENVIRONMENT)
    if settings.AUTH == OPEN and (text is None or _is_foreign(text, headers)):
        return _principal("anonymous", "anonymous", "", address, EVERYTHING)  # type: ignore[arg-type]  # see below
    if text is None:
        raise Unauthenticated(f"A key is needed here. {_SHOW}")
    return principal_of_key(_found(text), address=address)


def principal_of_key(key: KeyDefinition, *, address: str = "") -> Principal:
    """Return the service that a key stands for.

    Raises:
        Unauthenticated: when the key has expired.
    """
    if key.expires is not None and key.expires <= time.time():
        raise Unauthenticated(f"The key {key.id} of {key.service} has expired.")
    key_usage.note(key.id)
    return _principal("service", key.service, key.id, address, key.rights)


@lru_cache(maxsize=1024)
def _principal(kind: Literal["anonymous", "service"], name: str, key: str, address: str, rights: Rights) -> Principal:
    """Return a principal. Making one takes several times as long as finding it again. Rights are told apart by which
    object they are: those of another catalog are others."""
    return Principal(kind=kind, name=name, key=key, address=address, rights=rights)


def is_a_persons(headers: Mapping[str, str]) -> bool:
    """Say whether a session of the admin is all that a request shows, where that is asked for.

    Who that is takes a query, so the express lane leaves it to Django.
    """
    return (
        "cookie" in headers
        and settings.AUTH == REQUIRED
        and not headers.get(AUTHORIZATION)
        and not headers.get(API_KEY)
        and f"{settings.SESSION_COOKIE_NAME}=" in headers["cookie"]
    )


def _found(text: str) -> KeyDefinition:
    digest = api_key.digest(text)
    found = holder.current().keys.get(digest)
    if found is None or not compare_digest(found.digest, digest):
        raise Unauthenticated(_why_unknown(text))
    return found


def _is_foreign(text: str, headers: Mapping[str, str]) -> bool:
    """Say whether an Authorization is for somebody else, such as a gateway's token: where all are let in, it may be."""
    return not text.startswith(PREFIX) and not headers.get(API_KEY)


def _why_unknown(text: str) -> str:
    try:
        environment, id_ = api_key.read(text)
    except NotAKey as error:
        return f"What is shown is no key. {error}"
    if environment != settings.KEY_ENVIRONMENT:
        return f"The key {id_} is for “{environment}”, and this is “{settings.KEY_ENVIRONMENT}”."
    return f"The key {id_} is not known here: it was revoked, or never issued here."
