"""The routes of the registry, and their view, which identifies the caller, negotiates the media type, and answers
refusals in the registries' format. The project sets the path below which they are served.
"""

import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import unquote

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, re_path
from rest_framework.request import Request

from contracts.api import configuration, schemas, subjects
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
from core import catalog_version
from core.views import ApiView, as_problem, to_django, to_request
from synapse.auth.permission import refused_scope
from synapse.auth.principal import Principal
from synapse.endpoints import Endpoint, by_path, endpoints_of
from synapse.http.accept import accepts_by_name, choose, form_of
from synapse.http.entity_tags import names_tag, tag_of
from synapse.http.exchange import JSON, VARY_ACCEPT, Response, json_response
from synapse.http.exchange import Request as EngineRequest
from synapse.problems import NotFound, PreconditionFailed, Problem

_SHORT_VENDOR = "application/vnd.schemaregistry+json"
_KINDS = (JSON, VENDOR, _SHORT_VENDOR)
_CHANGING = ("PUT", "DELETE")
# The first challenge, because some clients read only one in a line. RFC 7617, 2 and 2.1.
_BASIC = 'Basic realm="synapse", charset="UTF-8"'
# The error code for a caller without the right to read, by the first segment of the path.
_UNSEEN = {"schemas": SCHEMA_NOT_FOUND, "config": NO_COMPATIBILITY, "mode": NO_MODE}

logger = logging.getLogger(__name__)


class RegistryView(ApiView):
    """Answers the registry's endpoints of one path, by method.

    Clients probe some paths of other registries and continue only after a 404. So unknown paths get 404 for all
    callers, and a caller without the right to read gets 404 everywhere. Only a caller who may read but not change gets
    403.
    """

    endpoints: ClassVar[Mapping[str, Endpoint]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        endpoint = self._endpoint_of(request)
        if endpoint is not None and endpoint.requires.scope:
            _demand_scope(endpoint, principal(request))
        _refuse_ambiguous(request._request, kwargs.get("subject", ""))

    def answer(self, request: Request, **params: str) -> HttpResponse:
        """Answer a request with the endpoint of its method, in the media type of JSON that the caller accepts."""
        endpoint = self._endpoint_of(request)
        if endpoint is None:
            raise NotFound(f"Nothing is served under {request._request.path[:200]}.")
        asked = to_request(request._request, principal(request))
        if request.method in _CHANGING and "if-match" in asked.headers:
            if "GET" not in self.endpoints:
                raise PreconditionFailed  # there is no state to compare (RFC 9110, 13.1.1)
            _demand_scope(self.endpoints["GET"], principal(request))  # a 412 reveals whether the state has changed
            with transaction.atomic():
                catalog_version.bump()  # locks out other changes
                self._check_match(asked, params)
                return self._answer_with(endpoint, asked, params)
        return self._answer_with(endpoint, asked, params)

    def _answer_with(self, endpoint: Endpoint, asked: EngineRequest, params: Mapping[str, str]) -> HttpResponse:
        accept = asked.headers.get("accept", "")
        kind = form_of(accept, _media_types_for(accept))
        found = endpoint.handler(asked, **params)
        answer = found if isinstance(found, Response) else json_response(found)
        return to_django(endpoint.make_response(answer._replace(content_type=kind, headers=VARY_ACCEPT), asked))

    def _check_match(self, asked: EngineRequest, params: Mapping[str, str]) -> None:
        """Refuse a change if the definition has changed since the caller read it (If-Match)."""
        # DELETE also applies to hidden versions, so the comparison includes them.
        query = {**asked.query, "deleted": "true"} if asked.method == "DELETE" else asked.query
        try:
            found = self.endpoints["GET"].handler(asked._replace(method="GET", body=b"", query=query), **params)
        except Problem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
            raise PreconditionFailed from None
        body = (found if isinstance(found, Response) else json_response(found)).body
        if not any(names_tag(asked.headers["if-match"], tag_of(kind, body), weakly=False) for kind in _KINDS):
            raise PreconditionFailed

    def _endpoint_of(self, request: Request) -> Endpoint | None:
        return self.endpoints.get("GET" if request.method == "HEAD" else str(request.method))

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], HttpResponse]:
        return _answer_refusal


def view_of(methods: Mapping[str, Endpoint]) -> type[RegistryView]:
    """Return a view that answers the endpoints of one path."""
    answers = dict.fromkeys(map(str.lower, methods), RegistryView.answer)
    return type("Registry", (RegistryView,), {"endpoints": methods, **answers})


def _demand_scope(endpoint: Endpoint, caller: Principal) -> None:
    scope = endpoint.requires.scope
    if caller.rights.has(scope):
        return
    if caller.rights.has(READ):
        raise Refused(FORBIDDEN, refused_scope(caller, scope).detail)
    unseen = _UNSEEN.get(endpoint.path.split("/")[1], SUBJECT_NOT_FOUND)
    raise Refused(unseen, "There is nothing here that you may see.")


def principal(request: Request) -> Principal:
    """Return the principal of the caller."""
    found: Principal = request.user  # type: ignore[assignment]  # set by the authentication class
    return found


def _answer_refusal(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """Answer an exception with a refusal in the registries' format."""
    request = context["request"]
    problem = as_problem(error, request)
    if problem is None:
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
        problem = Refused(BROKEN, "Something went wrong inside Synapse; its log says more.")
    headers = dict(problem.headers)
    if challenge := headers.get("WWW-Authenticate"):
        # Some clients send user and password only after a 401 with a Basic challenge (RFC 9110, 11.6.1).
        headers["WWW-Authenticate"] = f"{_BASIC}, {challenge}"
    accept = request._request.headers.get("accept", "")
    kind = choose(accept, _media_types_for(accept)) or JSON
    response = json_response(document(problem), status=problem.status, headers=headers)
    return to_django(response._replace(content_type=kind))


def _media_types_for(accept: str) -> tuple[str, ...]:
    """Return the media types of a response, the default first. All are JSON. Clients of registries accept several, and
    then expect the registry's own type.
    """
    return (VENDOR, JSON) if accepts_by_name(accept, VENDOR) else (JSON, _SHORT_VENDOR)


def _refuse_ambiguous(request: HttpRequest, subject: str) -> None:
    """Refuse an ambiguous path, and one with the NUL character, which no database accepts.

    Paths are decoded before they are routed. So a subject with encoded slashes that ends like one of our routes, such
    as `a%2Fversions%2F1`, would be mistaken for version 1 of another subject.
    """
    if "\0" in subject:
        raise Refused(INVALID_SUBJECT, "No subject holds the NUL character.")
    raw = str(request.META.get("RAW_URI", "")).partition("?")[0]
    if "%2f" in raw.lower() and subject not in [unquote(part) for part in raw.split("/")] and subject:
        raise Refused(INVALID_SUBJECT, "A subject with an encoded slash and a part “versions” cannot be asked for.")


# Any text. Django cannot reverse a dot that also matches newlines, so a character class is used.
_SUBJECT = r"(?P<subject>[\s\S]+?)"
_PART = re.compile(r"\{(\w+)\}")
ENDPOINTS = endpoints_of(schemas, subjects, configuration)


class Unknown(RegistryView):
    """Answers unknown paths with 404: clients probe paths of other registries, and stop after any other refusal."""

    schema = None
    get = post = put = delete = patch = RegistryView.answer


def _make_route(path: str, methods: Mapping[str, Endpoint]) -> URLPattern:
    """Return Django's pattern of a path written as `/subjects/{subject}/versions`.

    A subject may contain slashes, which clients encode and Django decodes before routing. A trailing slash is optional,
    because a redirect would lose the body of a POST.
    """
    pattern = _PART.sub(r"(?P<\1>[^/]+)", path.lstrip("/").replace("{subject}", _SUBJECT))
    end = "/?$" if pattern else "$"
    found: URLPattern = re_path(f"^{pattern}{end}", view_of(methods).as_view(), name=next(iter(methods.values())).name)
    return found


# The first matching pattern wins, so paths that continue after the subject come before those that end with it.
_PATHS = sorted(by_path(ENDPOINTS).items(), key=lambda each: each[0].endswith("{subject}"))
urlpatterns = [_make_route(*each) for each in _PATHS]
urlpatterns.append(re_path(r"^[\s\S]*$", Unknown.as_view(), name="registry-unknown"))
root = view_of(by_path(ENDPOINTS)["/"]).as_view()
