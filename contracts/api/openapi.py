"""Saying in the OpenAPI document what a route of the registry takes and gives."""

from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from contracts.api import shapes
from core.openapi import SECURITY

JSON, VENDOR = "application/json", "application/vnd.schemaregistry.v1+json"
_REFUSALS = {
    400: "The request cannot be understood.",
    401: "No key was shown where one is needed, or it is not good.",
    403: "The caller may not do this.",
    404: "There is no such subject, version or schema.",
    409: "The schema is not compatible with an earlier version.",
    413: "The body is too large.",
    415: "The content type is not one that is read here.",
    422: "What is asked for cannot be done.",
    503: "The database cannot be used now.",
}
TEXTS = {"type": "array", "items": {"type": "string"}}
NUMBERS = {"type": "array", "items": {"type": "integer"}}
NUMBER = {"type": "integer"}
OBJECT = {"type": "object"}
SCHEMA = {"type": "object", "description": "A JSON Schema."}

# What any body can be refused for, and any text of a path or a query that no subject can hold.
_OF_BODIES, _OF_QUERIES = (413, 415, 422), (422,)

View = Callable[..., Any]


def described(
    summary: str,
    *,
    name: str,
    answer: Any,
    parameters: Sequence[OpenApiParameter] = (),
    request: Any = None,
    refusals: Sequence[int] = (),
) -> Callable[[View], View]:
    """Describe a view's method; `name` is what generated clients call it."""
    kinds = (JSON, VENDOR)
    refused = {
        (status, kind): OpenApiResponse(shapes.Refusal, _REFUSALS[status])
        for status in sorted(
            {400, 401, 403, 503, *refusals, *(_OF_BODIES if request else ()), *(_OF_QUERIES if parameters else ())}
        )
        for kind in kinds
    }
    decorator: Callable[[View], View] = extend_schema(
        operation_id=name,
        summary=summary,
        tags=["registry"],
        request=None if request is None else dict.fromkeys(reversed(kinds), request),
        parameters=list(parameters),
        responses={**{(200, kind): answer for kind in kinds}, **refused},
        auth=SECURITY,  # type: ignore[arg-type]  # it writes what it is given
    )
    return decorator


def list_of(shape: Any) -> Any:
    """Describe a list."""
    return {"type": "array", "items": shape} if isinstance(shape, dict) else shape(many=True)


def path(name: str, description: str) -> OpenApiParameter:
    """Describe a part of the path."""
    return OpenApiParameter(name, str, OpenApiParameter.PATH, description=description)


def _query(name: str, description: str, kind: Any = OpenApiTypes.BOOL, **details: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **details)


SUBJECT = path("subject", "The subject; its slashes are written %2F.")
VERSION = path("version", "A number, or `latest`.")
ID = path("id", "The schema's global id.")
GUID = path("guid", "The schema's GUID.")
DELETED = _query("deleted", "Also what is hidden.", default=False)
DELETED_ONLY = _query("deletedOnly", "Only what is hidden.", default=False)
PERMANENT = _query("permanent", "Delete for good what is hidden.", default=False)
NORMALIZE = _query("normalize", "Keep the schema without layout and with its keys in order.", default=False)
VERBOSE = _query("verbose", "Say why.", default=False)
FORCE = _query("force", "Makes no difference here.", default=False)
LATEST_ONLY = _query("latestOnly", "Only the latest version of each subject.", default=False)
DEFAULT_TO_GLOBAL = _query("defaultToGlobal", "What holds for all, when the subject says nothing.", default=False)
FETCH_MAX_ID = _query("fetchMaxId", "Also the highest id.", default=False)
PREFIX = _query("subjectPrefix", "Only subjects that begin so.", str)
KEY = _query("key", "The name of a property of the metadata.", str, many=True)
VALUE = _query("value", "Its value.", str, many=True)
PAGE = (
    _query("offset", "How many are left out.", int, default=0),
    _query("limit", "How many are listed at most; -1: all.", int, default=-1),
)
