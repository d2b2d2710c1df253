"""Middleware that closes all paths to anonymous callers where keys are required, except the views listed here.

Views of the API authenticate by themselves, with `PrincipalAuthentication`; the admin's pages lead to its log-in. All
other paths are closed here, also those without a view, so that a new view is never open by accident.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from rest_framework.exceptions import APIException

from core.views import as_problem, problem_to_django
from streams.access.authentication import PrincipalAuthentication, authenticate_request
from streams.access.identification import REQUIRED
from synapse.problems import Problem

# By name: the health checks, and the way to the admin.
OPEN_VIEWS = frozenset({"home", "admin-without-slash", "health", "liveness", "readiness"})
_ADMIN = "admin"


class RequireAuthentication:
    """Answers 401 to an anonymous caller where no view authenticates by itself (Django middleware)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.AUTH == REQUIRED and not _is_exempt(request):
            try:
                authenticate_request(request)
            except (Problem, APIException) as error:
                problem = as_problem(error, request)
                if problem is None:
                    raise
                return problem_to_django(problem, request)
        return self._get_response(request)


def _is_exempt(request: HttpRequest) -> bool:
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return False
    if match.app_names == [_ADMIN] or match.view_name in OPEN_VIEWS:
        return True
    return any(issubclass(each, PrincipalAuthentication) for each in _authentication_of(match.func))


def _authentication_of(view: Any) -> Any:
    return getattr(getattr(view, "cls", None), "authentication_classes", ())
