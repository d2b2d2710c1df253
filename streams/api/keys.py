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
    409: "Two keys of the service that the caller issued are live already, or the key is no longer valid.",
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
    """A key of a service, without its text."""

    id: str = about("The public part of the key.")
    service: str
    label: str
    scopes: list[str]
    state: str = about("live, expired or revoked.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = about("When the key was last used, updated at most once a minute.")
    issued_by: str = about("Another service that issued the key, otherwise empty.")


class Keys(Answer):
    """The keys of a service."""

    keys: list[Key]


class IssuedKey(Key):
    """A new key. Only this answer shows its text, `key`."""

    key: str


class IssueAsked(Body):
    """The label, the scopes and the lifetime of a new key."""

    optional: ClassVar[bool] = True
    label: str | None = maybe("A text for people that says where the key is used.")
    scopes: list[str] | None = maybe(
        "Scopes such as `metrics:read`, or `publish:` or `read:` with a stream's name or a pattern."
    )
    expires_in: Annotated[int | None, _SECONDS] = maybe(
        "The lifetime in seconds; without `expires_in`, the key does not expire.",
        ge=0,
        le=int(LONGEST_LIFE.total_seconds()),
    )


class RotateAsked(Body):
    """How long the old key stays valid."""

    optional: ClassVar[bool] = True
    overlap: Annotated[int, _SECONDS] = about(
        "For how many seconds the old key stays valid.",
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
    """Lists the newest keys first, including revoked ones. The texts of keys are not stored."""
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
        Example("with all rights of the service", {"label": "training cluster"}),
        Example("with a part of the rights", {"scopes": ["publish:training-*"], "expires_in": 7776000}),
    ],
)
def issue_key(call: Call[None, IssueAsked]) -> dict[str, Any]:
    """Only this answer ever shows the key. A service has at most two live keys, and two more from each other service
    that issues keys for it."""
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
    """Every process refuses the key within a second, and ends its live connections."""
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
    """Issues a new key with the rights of the old one, which expires after `overlap` seconds. Until then, both keys
    are valid."""
    overlap = timedelta(seconds=call.body.overlap)
    return _describe_new_key(
        key_issuance.rotate(call.params["service"], call.params["key_id"], by=call.by, overlap=overlap)
    )


def _describe_new_key(issued: key_issuance.NewKey) -> dict[str, Any]:
    return {**_describe_key(issued.key), "key": issued.text}


def _describe_key(key: Row) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in Key.model_fields}
    return {**values, "id": key.key_id, "service": key.service.name}
