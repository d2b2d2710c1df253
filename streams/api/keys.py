"""Endpoints for the keys of a service. Only Django answers them."""

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar

from django.utils import timezone

from streams.access import key_issuance
from streams.models import Key as Row
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Body, Call, Example, Sentence, about, endpoint, maybe

LONGEST_LIFE = timedelta(days=3650)
_REQUIRES = Requirement(scope=key_issuance.SCOPE)
_NOT_FOUND = {404: "There is no such service or key."}
_PROBLEMS = {
    **_NOT_FOUND,
    409: "Two keys of the service that the caller issued are live already, or the key is not good any more.",
}
_KEY = {
    "id": "x7Kq2mPa",
    "service": "helox",
    "label": "training cluster",
    "scopes": ["publish:training-*"],
    "state": "live",
    "created_at": "2026-11-23T10:00:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
    "issued_by": "",
}
_NO_STORE = {"Cache-Control": "no-store"}
_SECONDS = Sentence("“{name}” is a whole number of seconds, from {least} to {most}.")


class Key(Answer):
    """Facts about a key; never the key itself."""

    id: str = about("The part of the key that names it.")
    service: str
    label: str
    scopes: list[str]
    state: str = about("live, expired or revoked.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = about("Written at most once a minute.")
    issued_by: str = about("The other service that issued it; empty when none did.")


class Keys(Answer):
    """The keys of a service."""

    keys: list[Key]


class IssuedKey(Key):
    """A new key. `key` is shown this once."""

    key: str


class IssueAsked(Body):
    """A new key's label, scopes and life."""

    optional: ClassVar[bool] = True
    label: str | None = maybe("For people: where the key is used.")
    scopes: list[str] | None = maybe("Words, and publish: or read: with a stream's name or pattern.")
    expires_in: Annotated[int | None, _SECONDS] = maybe(
        "Seconds; without it the key does not expire.", ge=0, le=int(LONGEST_LIFE.total_seconds())
    )


class RotateAsked(Body):
    """How a key is rotated."""

    optional: ClassVar[bool] = True
    overlap: Annotated[int, _SECONDS] = about(
        "For how many seconds the old key stays good.",
        default=int(key_issuance.OVERLAP.total_seconds()),
        ge=0,
        le=int(key_issuance.LONGEST_OVERLAP.total_seconds()),
    )


_keys = partial(endpoint, tag="keys", requires=_REQUIRES)


@_keys(
    "GET",
    "/services/{service}/keys",
    "List a service's keys",
    Keys,
    problems=_NOT_FOUND,
    examples=[Example("one key", {"keys": [_KEY]}, 200)],
)
def list_keys(call: Call[None, None]) -> dict[str, Any]:
    """The newest keys first, with revoked ones. The texts of keys are not stored."""
    return {"keys": [_describe_key(key) for key in key_issuance.keys_of(call.params["service"], by=call.by)]}


@_keys(
    "POST",
    "/services/{service}/keys",
    "Issue a key",
    {201: IssuedKey},
    body=IssueAsked,
    problems=_PROBLEMS,
    headers=_NO_STORE,
    examples=[
        Example("for all that the service may", {"label": "training cluster"}),
        Example("for a part of it", {"scopes": ["publish:training-*"], "expires_in": 7776000}),
    ],
)
def issue_key(call: Call[None, IssueAsked]) -> dict[str, Any]:
    """The answer is the only place where the key is shown, ever. A service has two live keys at most, and two more of
    each other service that issues keys for it."""
    asked = call.body
    return _describe_new_key(
        key_issuance.issue(
            call.params["service"],
            by=call.by,
            label=asked.label or "",
            scopes=asked.scopes or [],
            expires_at=None if asked.expires_in is None else timezone.now() + timedelta(seconds=asked.expires_in),
        )
    )


@_keys("DELETE", "/services/{service}/keys/{key_id}", "Revoke a key", Key, problems=_NOT_FOUND)
def revoke_key(call: Call[None, None]) -> dict[str, Any]:
    """The key is refused from now on, in every process within a second; connections that watch live end, too."""
    return _describe_key(key_issuance.revoke(call.params["service"], call.params["key_id"], by=call.by))


@_keys(
    "POST",
    "/services/{service}/keys/{key_id}/rotate",
    "Rotate a key",
    {201: IssuedKey},
    body=RotateAsked,
    problems=_PROBLEMS,
    headers=_NO_STORE,
    examples=[Example("in an hour", {"overlap": 3600})],
)
def rotate_key(call: Call[None, RotateAsked]) -> dict[str, Any]:
    """A new key that may do the same. The old one expires after `overlap` seconds; until then both are good."""
    overlap = timedelta(seconds=call.body.overlap)
    return _describe_new_key(
        key_issuance.rotate(call.params["service"], call.params["key_id"], by=call.by, overlap=overlap)
    )


def _describe_new_key(issued: key_issuance.NewKey) -> dict[str, Any]:
    return {**_describe_key(issued.key), "key": issued.text}


def _describe_key(key: Row) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in Key.model_fields}
    return {**values, "id": key.key_id, "service": key.service.name}
