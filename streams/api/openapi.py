"""Saying in the OpenAPI document what a route takes and gives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from core.openapi import SECURITY
from streams.api.shapes.base import Problem
from synapse.problems import PROBLEM_JSON

STREAM = OpenApiParameter("stream", str, OpenApiParameter.PATH, description="The stream's name.")
# What everything answers that takes a key.
DENIED = {
    401: "No key was shown where one is needed, or it is not good.",
    403: "The caller may not do this; `missing` names the right.",
}
_PROBLEMS = {
    400: "The request or one of its parameters cannot be used.",
    403: "No such stream takes events, or the caller may not publish to it.",
    404: "There is no such stream or entry.",
    409: "Redis holds something else under the stream's name, or the request does not go with what there is.",
    413: "The body, or an event in it, is too large.",
    415: "The content type is not one that is read here.",
    422: "What was sent breaks a contract, or does not say what it is.",
    501: "This server does not answer this route: it is served on the event loop only.",
    503: "Redis cannot be used now.",
}

View = Callable[..., Any]


def described(
    summary: str,
    *,
    name: str,
    tag: str,
    answers: Mapping[int | tuple[int, str], Any],
    problems: Sequence[int] | Mapping[int, str] = (),
    parameters: Sequence[OpenApiParameter] = (),
    request: Any = None,
    examples: Sequence[OpenApiExample] = (),
    to_strangers: bool = False,
) -> Callable[[View], View]:
    """Describe a view's method. `to_strangers`: it never asks who calls.

    `name` is what generated clients call it. `answers` are shapes by status (and media type), `problems` statuses,
    where they do not mean the usual with what they mean.
    """
    meanings = {status: _PROBLEMS[status] for status in problems} if not isinstance(problems, Mapping) else problems
    denied = {} if to_strangers else DENIED
    refusals = {
        (status, PROBLEM_JSON): OpenApiResponse(Problem, meaning) for status, meaning in {**denied, **meanings}.items()
    }
    decorator: Callable[[View], View] = extend_schema(
        operation_id=name,
        summary=summary,
        tags=[tag],
        request=request,
        parameters=list(parameters),
        responses={**answers, **refusals},
        examples=list(examples),
        auth=[] if to_strangers else SECURITY,  # type: ignore[arg-type]  # it writes what it is given
    )
    return decorator


def query(name: str, description: str, kind: Any = OpenApiTypes.STR, **details: Any) -> OpenApiParameter:
    """Describe a query parameter."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **details)


def example(
    name: str, value: Any, *, status: int | None = None, media_type: str = "application/json"
) -> OpenApiExample:
    """Return an example: of the request when `status` is None, else of that answer."""
    if status is None:
        return OpenApiExample(name, value=value, media_type=media_type, request_only=True)
    return OpenApiExample(name, value=value, media_type=media_type, response_only=True, status_codes=[str(status)])
