"""Translation between Django and the engine's HTTP values: URL patterns, requests, responses and problems."""

import logging
import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, re_path, reverse
from django.utils.cache import patch_vary_headers
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.response import Response as RestResponse
from rest_framework.views import APIView

from core import database
from synapse.auth.principal import ANONYMOUS, Principal
from synapse.http.accept import choose
from synapse.http.entity_tags import with_tag
from synapse.http.exchange import JSON, Request, Response, path_expression, problem_response
from synapse.http.hosts import bad_host
from synapse.http.redis_problems import problem_of
from synapse.problems import (
    PROBLEM_JSON,
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Problem,
    too_large,
)
from synapse.redis.errors import RedisFailure
from synapse.tracing.context import TRACEPARENT


def route(path: str, view: Any, name: str) -> URLPattern:
    """Return Django's pattern for a path written as `/streams/{stream}/info`.

    A part in braces matches any one path segment: the view refuses bad names with a reason. A trailing slash is
        optional.
    """
    pattern: URLPattern = re_path(f"^{path_expression(path.lstrip('/'))}$", view, name=name)
    return pattern


logger = logging.getLogger(__name__)

HTML = "text/html"


class AlwaysJSON(BaseContentNegotiation):
    """Answers JSON, ignoring the Accept header, as the async routes do."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class ByQuality(BaseContentNegotiation):
    """Chooses a document's media type by the quality values of the Accept header."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        offers = [each.media_type for each in renderers]
        form = choose(request.headers.get("Accept", ""), offers)
        if form is None:
            raise NotAcceptable(offers)
        return renderers[offers.index(form)], form


class ApiView(APIView):
    """A view of the API: always JSON, and without headers that the async routes do not send."""

    content_negotiation_class = AlwaysJSON

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}


class RequestRefused(Problem, slug="request-refused", title="The request was refused"):
    """A refusal by Django REST framework, with the status of its exception."""


def to_request(request: HttpRequest, principal: Principal = ANONYMOUS, **params: str) -> Request:
    """Convert a Django request to the engine's request."""
    return Request(
        method=request.method or "",
        path=request.path,
        params=params,
        query=request.GET.dict(),
        headers=_headers_of(request),
        body=request.body,
        principal=principal,
        raw_query=request.META.get("QUERY_STRING", ""),
    )


def _headers_of(request: HttpRequest) -> dict[str, str]:
    return {name.lower(): text for name, text in request.headers.items()}


def to_django(response: Response) -> HttpResponse:
    """Convert the engine's response to a Django response."""
    answer = HttpResponse(response.whole_body, status=response.status, content_type=response.content_type)
    if not response.content_type:
        del answer["Content-Type"]
    for name, text in response.headers.items():
        answer[name] = text
    return answer


def problem_to_django(problem: Problem, request: Any) -> HttpResponse:
    """Convert a problem to the Django response to a request, with the trace id of the request."""
    return to_django(problem_response(problem, {TRACEPARENT: request.META.get("HTTP_TRACEPARENT", "")}))


def with_entity_tag(request: HttpRequest, response: HttpResponse, tag: str = "") -> HttpResponse:
    """Add the entity tag to a document's response; answer 304 without content if the client has that version.

    Args:
        tag: the document's tag if it is known; otherwise it is computed from the content.
    """
    asked = Request(method=request.method or "", path=request.path, headers=_headers_of(request))
    document = Response(response.status_code, response.content, response["Content-Type"])
    found = with_tag(asked, document, tag)
    if found is document:
        return response
    response["ETag"], response["Cache-Control"] = found.headers["ETag"], found.headers["Cache-Control"]
    patch_vary_headers(response, found.headers["Vary"].split(", "))
    if found.status == HTTPStatus.NOT_MODIFIED:
        # Other headers are kept, such as the content policy: the client replaces its stored ones by these.
        response.status_code = found.status
        response.content = b""
        for name in ("Content-Type", "Content-Disposition"):
            del response[name]
    return response


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | RestResponse | None:
    """Answer every error of a view as a problem document (REST framework's EXCEPTION_HANDLER)."""
    problem = as_problem(error, context["request"])
    return None if problem is None else problem_to_django(problem, context["request"])


def as_problem(error: Exception, request: Any) -> Problem | None:
    """Return the problem for an exception, None for an unexpected one."""
    match error:
        case Problem() | RedisFailure():
            return problem_of(error)
        case exceptions.MethodNotAllowed():
            view = request.parser_context["view"]
            return MethodNotAllowed(request.method, view.allowed_methods)
        case RequestDataTooBig():
            return too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        case DatabaseError():
            return database.database_problem(error)
        case Http404():
            return NotFound("Nothing is served under this path.")
        case SuspiciousOperation():
            return BadRequest("The request was refused.")
        case exceptions.APIException():
            refused = RequestRefused(str(error.detail))
            refused.status = error.status_code  # type: ignore[misc]  # declared for classes, set here for one instance
            return refused
    return None


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 to an unknown path."""
    return _answer_refusal(request, NotFound(f"Nothing is served under {request.path[:200]}."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 to a person without the permission for a page or an action."""
    return _answer_refusal(
        request,
        Forbidden(
            str(exception) or "It takes a permission that none of your roles has. Ask a person who edits users for it."
        ),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without a valid CSRF token (CSRF_FAILURE_VIEW)."""
    said = "The form was not sent by a page of this installation, or the page is older than your last log-in."
    return _answer_refusal(
        request, Forbidden(f"{said} Open the page again, and send it once more. ({reason.rstrip('.')}.)")
    )


def _answer_refusal(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Answer with an HTML page to a browser that asks for the admin, otherwise with a problem document."""
    if not _is_for_people(request):
        return problem_to_django(problem, request)
    values = {**admin.site.each_context(request), "problem": problem}
    return render(request, "core/admin/refused.html", values, status=problem.status)


def _is_for_people(request: HttpRequest) -> bool:
    """Say whether a browser asks for a page of the admin."""
    form = choose(request.headers.get("Accept", ""), (PROBLEM_JSON, JSON, HTML))
    return request.path.startswith(reverse("admin:index")) and form == HTML


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 to a request that Django finds suspicious, such as one with a foreign Host header."""
    if isinstance(exception, DisallowedHost):
        return problem_to_django(bad_host(request.META.get("HTTP_HOST", "")), request)
    return _answer_refusal(request, BadRequest("The request was refused."))


def _answer_unavailable(request: HttpRequest, problem: Problem) -> HttpResponse:
    if not request.path.startswith(reverse("admin:index")):
        return problem_to_django(problem, request)
    # The user and the pending messages are in the database, so the page is rendered without them.
    request.user = AnonymousUser()
    request.__dict__.pop("_messages", None)
    page = render(request, "core/admin/unavailable.html", {"problem": problem}, status=problem.status)
    for name, text in problem.headers.items():
        page[name] = text
    return page


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception that no view handled: 503 when the database is unavailable, else 500, which is logged."""
    problem = database.database_problem(sys.exc_info()[1])
    if problem is not None:
        return _answer_unavailable(request, problem)
    broken = Problem("Something went wrong inside Synapse; its log says more.")
    # Rendered without the admin's frame, which may need the system that failed.
    return _answer_unavailable(request, broken) if _is_for_people(request) else problem_to_django(broken, request)
