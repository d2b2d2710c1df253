"""Base of the registry's views: authentication, the registry's media type, refusals, and the JSON of versions."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import orjson
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from contracts.api.errors import (
    BROKEN,
    FORBIDDEN,
    INVALID_SUBJECT,
    NO_COMPATIBILITY,
    NO_MODE,
    SCHEMA_NOT_FOUND,
    SUBJECT_NOT_FOUND,
    Refused,
    document,
)
from contracts.api.openapi import READ, VENDOR
from contracts.api.request_parser import JSON
from contracts.models import ContractVersion, Schema
from core.views import ApiView, as_problem, to_request
from synapse.auth.permission import refused_scope
from synapse.auth.principal import Principal
from synapse.endpoints import Endpoint
from synapse.http.exchange import Response
from synapse.problems import NotFound, Problem


def schema(found: Schema) -> dict[str, Any]:
    """Return a schema as `GET /schemas/ids/{id}` shows it."""
    shown: dict[str, Any] = {"schema": found.text, "schemaType": JSON, "guid": str(found.guid)}
    if found.references:
        shown["references"] = found.references
    if found.metadata is not None:
        shown["metadata"] = found.metadata
    if found.rule_set is not None:
        shown["ruleSet"] = found.rule_set
    return shown


def version(found: ContractVersion) -> dict[str, Any]:
    """Return a version as `GET /subjects/{subject}/versions/{version}` shows it."""
    shown: dict[str, Any] = {"subject": found.contract.subject, "version": found.number, "id": found.schema_id}
    if found.schema is not None:
        shown |= schema(found.schema)
    if found.activated_at is not None:
        shown["ts"] = int(found.activated_at.timestamp() * 1000)
    if found.deleted_at is not None:
        shown["deleted"] = True
    return shown


# First, because some clients look at one challenge of a line. RFC 7617, 2 and 2.1.
_BASIC = 'Basic realm="synapse", charset="UTF-8"'
# The refusal of a caller who may see nothing under a path, by its first part.
_UNSEEN = {"schemas": SCHEMA_NOT_FOUND, "config": NO_COMPATIBILITY, "mode": NO_MODE}

logger = logging.getLogger(__name__)


class RegistryView(ApiView):
    """Answers the registry's endpoints of one path, by method.

    Where an endpoint takes no right, callers of any rights hear that a path is not there, because clients try
    some paths and continue only after a 404. For the same reason what one may not see is not there; only a caller who
    may see it hears that they may not change it.
    """

    endpoints: ClassVar[Mapping[str, Endpoint]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        endpoint = self._endpoint(request)
        if endpoint is not None and endpoint.requires.scope:
            _demand(endpoint, principal(request))
        _refuse_mistaken(request._request, kwargs.get("subject", ""))

    def answer(self, request: Request, **params: str) -> HttpResponse:
        """Answer a request with the endpoint of its method, in JSON of the media type that the caller asked for."""
        endpoint = self._endpoint(request)
        if endpoint is None:
            raise NotFound(f"Nothing is served under {request._request.path[:200]}.")
        found = endpoint.handler(to_request(request._request, principal(request)), **params)
        body = found.body if isinstance(found, Response) else orjson.dumps(found)
        return _written(request._request, body, 200)

    def _endpoint(self, request: Request) -> Endpoint | None:
        return self.endpoints.get("GET" if request.method == "HEAD" else str(request.method))

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], HttpResponse]:
        return _refusal


def view_of(methods: Mapping[str, Endpoint]) -> type[RegistryView]:
    """Return a view that answers the endpoints of one path."""
    answers = dict.fromkeys(map(str.lower, methods), RegistryView.answer)
    return type("Registry", (RegistryView,), {"endpoints": methods, **answers})


def _demand(endpoint: Endpoint, caller: Principal) -> None:
    scope = endpoint.requires.scope
    if caller.rights.has(scope):
        return
    if caller.rights.has(READ):
        raise Refused(FORBIDDEN, refused_scope(caller, scope).detail)
    unseen = _UNSEEN.get(endpoint.path.split("/")[1], SUBJECT_NOT_FOUND)
    raise Refused(unseen, "There is nothing here that you may see.")


def principal(request: Request) -> Principal:
    """Return the caller."""
    found: Principal = request.user  # type: ignore[assignment]  # put there by the authentication class
    return found


def _refusal(error: Exception, context: dict[str, Any]) -> HttpResponse:
    request = context["request"]
    problem = as_problem(error, request)
    if problem is None:
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
        problem = Refused(BROKEN, "Something went wrong inside Synapse; its log says more.")
    return refused(request._request, problem)


def refused(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Answer with a refusal in the registries' format."""
    response = _written(request, orjson.dumps(document(problem)), problem.status)
    for name, text in problem.headers.items():
        # Some clients show user and password only to a 401 that asks for them (RFC 9110, 11.6.1).
        response[name] = f"{_BASIC}, {text}" if name == "WWW-Authenticate" else text
    return response


def _written(request: HttpRequest, body: bytes, status: int) -> HttpResponse:
    kind = VENDOR if VENDOR in request.headers.get("Accept", "") else "application/json"
    return HttpResponse(body, status=status, content_type=kind)


def _refuse_mistaken(request: HttpRequest, subject: str) -> None:
    """Refuse an ambiguous path, and one with characters that no database accepts.

    Paths are decoded before they are routed. So a subject that holds an encoded slash and ends like one of our own
    paths, as `a%2Fversions%2F1` does, would be taken for the version 1 of another subject.
    """
    if "\0" in subject:
        raise Refused(INVALID_SUBJECT, "No subject holds the NUL character.")
    raw = str(request.META.get("RAW_URI", "")).partition("?")[0]
    if "%2f" in raw.lower() and subject not in [unquote(part) for part in raw.split("/")] and subject:
        raise Refused(INVALID_SUBJECT, "A subject with an encoded slash and a part “versions” cannot be asked for.")
