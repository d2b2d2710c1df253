"""The keys of a service over HTTP. On Django's lane alone."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core.views import ApiView, to_django, to_request
from streams.access import key_issuance, principal_of
from streams.api.openapi import described, example
from streams.api.shapes import keys as shapes
from streams.models import Key
from synapse.http import json_body
from synapse.http.exchange import json_response

LONGEST_LIFE = timedelta(days=3650)
_SERVICE = OpenApiParameter("service", str, OpenApiParameter.PATH, description="The service's name.")
_ID = OpenApiParameter("key_id", str, OpenApiParameter.PATH, description="The key's id.")
_NOT_FOUND = {404: "There is no such service or key."}
_PROBLEMS = {
    400: "The request cannot be used: `parameter` says what of it.",
    **_NOT_FOUND,
    409: "Two keys of the service that the caller issued are live already, or the key is not good any more.",
    413: "The request is too large.",
    415: "The request is not JSON.",
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


class Keys(ApiView):
    """The keys of a service."""

    @described(
        "List a service's keys",
        name="list_keys",
        tag="keys",
        parameters=[_SERVICE],
        answers={200: shapes.Keys},
        problems=_NOT_FOUND,
        examples=[example("one key", {"keys": [_KEY]}, status=200)],
    )
    def get(self, request: Request, service: str) -> HttpResponse:
        """The newest first, with those that were revoked. The keys themselves are not kept."""
        keys = key_issuance.keys_of(service, by=principal_of(request))
        return to_django(json_response({"keys": [_shown(key) for key in keys]}))

    @described(
        "Issue a key",
        name="issue_key",
        tag="keys",
        parameters=[_SERVICE],
        request=shapes.IssueAsked,
        answers={201: shapes.IssuedKey},
        problems=_PROBLEMS,
        examples=[
            example("for all that the service may", {"label": "training cluster"}),
            example("for a part of it", {"scopes": ["publish:training-*"], "expires_in": 7776000}),
        ],
    )
    def post(self, request: Request, service: str) -> HttpResponse:
        """The answer is the only place where the key is shown, ever. A service has two live keys at most, and
        two more of each other service that issues keys for it."""
        caller = principal_of(request)
        key_issuance.permit(caller)
        body = json_body.read(
            to_request(request._request, caller), known=("label", "scopes", "expires_in"), required=False
        )
        life = json_body.seconds(body, "expires_in", most=LONGEST_LIFE)
        issued = key_issuance.issue(
            service,
            by=caller,
            label=json_body.text(body, "label"),
            scopes=json_body.texts(body, "scopes"),
            expires_at=None if life is None else timezone.now() + life,
        )
        return _new(issued)


class OneKey(ApiView):
    """One key."""

    @described(
        "Revoke a key",
        name="revoke_key",
        tag="keys",
        parameters=[_SERVICE, _ID],
        answers={200: shapes.Key},
        problems=_NOT_FOUND,
    )
    def delete(self, request: Request, service: str, key_id: str) -> HttpResponse:
        """It is good for nothing any more, in every process within a second; connections that watch live end, too."""
        return to_django(json_response(_shown(key_issuance.revoke(service, key_id, by=principal_of(request)))))


class Rotate(ApiView):
    """Replace a key."""

    @described(
        "Rotate a key",
        name="rotate_key",
        tag="keys",
        parameters=[_SERVICE, _ID],
        request=shapes.RotateAsked,
        answers={201: shapes.IssuedKey},
        problems=_PROBLEMS,
        examples=[example("in an hour", {"overlap": 3600})],
    )
    def post(self, request: Request, service: str, key_id: str) -> HttpResponse:
        """A new key that may do the same. The old one expires after `overlap` seconds; until then both are good."""
        caller = principal_of(request)
        key_issuance.permit(caller)
        body = json_body.read(to_request(request._request, caller), known=("overlap",), required=False)
        overlap = json_body.seconds(body, "overlap", most=key_issuance.LONGEST_OVERLAP)
        issued = key_issuance.rotate(
            service, key_id, by=caller, overlap=key_issuance.OVERLAP if overlap is None else overlap
        )
        return _new(issued)


def _new(issued: key_issuance.Issued) -> HttpResponse:
    shown = {**_shown(issued.key), "key": issued.text}
    return to_django(json_response(shown, status=201, headers={"Cache-Control": "no-store"}))


def _shown(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "service": key.service.name,
        "label": key.label,
        "scopes": key.scopes,
        "state": key.state,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "issued_by": key.issued_by,
    }
