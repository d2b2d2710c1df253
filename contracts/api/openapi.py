"""Declarations of the registry's endpoints, whose answers have two media types and whose refusals have their own
format.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from contracts.api import shapes
from synapse.auth.permission import Requirement
from synapse.endpoints import Endpoint, endpoint

JSON, VENDOR = "application/json", "application/vnd.schemaregistry.v1+json"
READ, WRITE = "registry:read", "registry:write"
_REFUSALS = {
    400: "The request cannot be understood.",
    401: "No key was shown where one is needed, or it is not good.",
    403: "The caller may not do this.",
    404: "There is no such subject, version or schema.",
    409: "The schema is not compatible with an earlier version.",
    413: "The body is too large.",
    415: "The content type is not one that is read here.",
    422: "The registry cannot do this.",
    503: "The database cannot be used now.",
}
TEXTS = {"type": "array", "items": {"type": "string"}}
NUMBERS = {"type": "array", "items": {"type": "integer"}}
NUMBER = {"type": "integer"}
OBJECT = {"type": "object"}
SCHEMA = {"type": "object", "description": "A JSON Schema."}


def _query(description: str, kind: str = "boolean", **schema: Any) -> dict[str, Any]:
    return {"schema": {"type": kind, **schema}, "description": description}


_PARTS = {
    "subject": "The subject; its slashes are written %2F.",
    "version": "A number, or `latest`.",
    "id": "The schema's global id.",
    "guid": "The schema's GUID.",
    "namespace": "Where the resource is.",
    "resource": "Its name.",
}
_QUERY = {
    "deleted": _query("Also what is hidden.", default=False),
    "deletedOnly": _query("Only what is hidden.", default=False),
    "permanent": _query("Delete for good what is hidden.", default=False),
    "normalize": _query("Keep the schema without layout and with its keys in order.", default=False),
    "verbose": _query("Say why.", default=False),
    "force": _query("Makes no difference here.", default=False),
    "latestOnly": _query("Only the latest version of each subject.", default=False),
    "defaultToGlobal": _query("The setting of all subjects, when the subject has none.", default=False),
    "fetchMaxId": _query("Also the highest id.", default=False),
    "subjectPrefix": _query("Only subjects that begin so.", "string"),
    "key": _query("The name of a property of the metadata.", "array", items={"type": "string"}),
    "value": _query("Its value.", "array", items={"type": "string"}),
    "offset": _query("How many are left out.", "integer", default=0),
    "limit": _query("How many are listed at most; -1: all.", "integer", default=-1),
}
PAGE = ("offset", "limit")


def described(
    method: str,
    path: str,
    summary: str,
    answer: Any,
    *query: str,
    request: Any = None,
    refusals: Sequence[int] = (),
    scope: str | None = "",
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Declare an endpoint of the registry, whose handler takes the request and the named parts of its path.

    Args:
        path: the part after the registry's own.
        query: the names of its parameters.
        request: the model of its body, if it takes one.
        refusals: statuses beside the usual ones.
        scope: the right that it requires; of reading `registry:read` and else `registry:write`, unless it is given;
            None for none.
    """
    needed = (READ if method == "GET" else WRITE) if scope == "" else scope
    parts = re.findall(r"\{(\w+)\}", path)
    usual = {400, 401, 403, 503, *((404,) if parts else ()), *((422,) if parts or query else ())}
    usual |= {413, 415, 422} if request else set()
    in_path = [{"in": "path", "name": each, "required": True, **_part(each)} for each in parts]
    return endpoint(
        method,
        path,
        summary,
        {200: answer},
        tag="registry",
        problems={status: _REFUSALS[status] for status in sorted(usual | set(refusals))},
        requires=Requirement(scope=needed or ""),
        documented_body={} if request is None else {VENDOR: request, JSON: request},
        parameters=[*in_path, *({"in": "query", "name": each, **_QUERY[each]} for each in query)],
        media_types=(JSON, VENDOR),
        refusal=shapes.Refusal,
    )


def _part(name: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": _PARTS[name]}
