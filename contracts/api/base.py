"""Base of the registry's views: authentication, answers in its media type, refusals, and the JSON of versions."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import orjson
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from contracts.api.content import JSON
from contracts.api.errors import BROKEN, FORBIDDEN, INVALID_SUBJECT, SUBJECT_NOT_FOUND, Refused, document
from contracts.models import ContractVersion, Schema
from core.views import ApiView, as_problem
from synapse.auth.permission import refused_scope
from synapse.auth.principal import Principal
from synapse.problems import Problem


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


def registered(found: ContractVersion) -> dict[str, Any]:
    """Return a version as registering answers it."""
    shown = version(found)
    del shown["subject"]
    return shown


# First, because some clients look at one challenge of a line. RFC 7617, 2 and 2.1.
_BASIC = 'Basic realm="synapse", charset="UTF-8"'
VENDOR = "application/vnd.schemaregistry.v1+json"
READ, WRITE = "registry:read", "registry:write"

logger = logging.getLogger(__name__)


class RegistryView(ApiView):
    """A view of the registry's API.

    `required_scope` says which right each method takes. None takes none: who asks for a path that is not there hears
    so, whatever their rights, because clients try some paths and go on only after a 404. For the same reason what one
    may not see is not there, in the words of `unseen`; only who may see it hears that they may not change it.
    """

    required_scope: ClassVar[Mapping[str, str | None]] = {"GET": READ, "POST": WRITE, "PUT": WRITE, "DELETE": WRITE}
    unseen: ClassVar[int] = SUBJECT_NOT_FOUND

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._demand(self.required_scope.get("GET" if request.method == "HEAD" else str(request.method)), request)
        _refuse_mistaken(request._request, kwargs.get("subject", ""))

    def _demand(self, scope: str | None, request: Request) -> None:
        caller = principal(request)
        if scope is None or caller.rights.has(scope):
            return
        if caller.rights.has(READ):
            raise Refused(FORBIDDEN, refused_scope(caller, scope).detail)
        raise Refused(self.unseen, "There is nothing here that you may see.")

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], HttpResponse]:
        return _refusal


def answer(request: Request, value: Any, *, status: int = 200) -> HttpResponse:
    """Answer with JSON, named as the caller asked for it."""
    return _answer(request._request, value, status)


def raw(request: Request, text: str) -> HttpResponse:
    """Answer with a text that is JSON already."""
    return _written(request._request, text.encode(), 200)


def may_see(request: Request) -> bool:
    """Say whether the caller may see what is registered."""
    return principal(request).rights.has(READ)


def principal(request: Request) -> Principal:
    """Return who is calling."""
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
    """Answer with a refusal as registries write them."""
    response = _answer(request, document(problem), problem.status)
    for name, text in problem.headers.items():
        # Some clients show user and password only to a 401 that asks for them (RFC 9110, 11.6.1).
        response[name] = f"{_BASIC}, {text}" if name == "WWW-Authenticate" else text
    return response


def _answer(request: HttpRequest, value: Any, status: int) -> HttpResponse:
    return _written(request, orjson.dumps(value), status)


def _written(request: HttpRequest, body: bytes, status: int) -> HttpResponse:
    kind = VENDOR if VENDOR in request.headers.get("Accept", "") else "application/json"
    return HttpResponse(body, status=status, content_type=kind)


def _refuse_mistaken(request: HttpRequest, subject: str) -> None:
    """Refuse a path that could be read in two ways, or that no database can be asked about.

    Paths are decoded before they are routed. So a subject that holds an encoded slash and ends like one of our own
    paths, as `a%2Fversions%2F1` does, would be taken for the version 1 of another subject.
    """
    if "\0" in subject:
        raise Refused(INVALID_SUBJECT, "No subject holds the NUL character.")
    raw = str(request.META.get("RAW_URI", "")).partition("?")[0]
    if "%2f" in raw.lower() and subject not in [unquote(part) for part in raw.split("/")] and subject:
        raise Refused(INVALID_SUBJECT, "A subject with an encoded slash and a part “versions” cannot be asked for.")
