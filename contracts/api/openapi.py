"""Declarations of the registry's endpoints, whose responses have two media types and whose refusals have their own
format, and models of their requests and responses. The models serve only as documentation: no request is parsed with
them.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, Field

from synapse.auth.permission import Requirement
from synapse.endpoints import Endpoint, about, endpoint, maybe


class Model(BaseModel):
    """A JSON object."""


class Reference(Model):
    """A version of another subject, and the name by which `$ref` refers to it."""

    name: str
    subject: str
    version: int = about("The version; in a request to register a schema, -1 is the latest.")


class SchemaBody(Model):
    """A schema to be registered, looked up or compared."""

    text: str = about("The JSON Schema, as a text.", alias="schema")
    schemaType: str = about("JSON.")
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe("Stored with the schema and returned. Its `properties` can be searched.")
    ruleSet: dict[str, Any] = maybe("Stored and returned, without effect.")


class Schema(Model):
    """A schema."""

    text: str = about("The JSON Schema, as a text.", alias="schema")
    schemaType: str
    guid: str
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe()
    ruleSet: dict[str, Any] = maybe()
    maxId: int = maybe("The highest id of a schema, when the query has `fetchMaxId`.")


class Registered(Model):
    """A version of a subject."""

    id: int = about("The schema's global id.")
    version: int
    guid: str
    text: str = Field(alias="schema")
    schemaType: str
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe()
    ruleSet: dict[str, Any] = maybe()
    ts: int = about("When the version was activated, in milliseconds since 1970.")
    deleted: bool = maybe("True for a version that was deleted, but not permanently.")


class Version(Registered):
    """A version of a subject."""

    subject: str


class VersionOfSchema(Model):
    """A subject and the number of a version."""

    subject: str
    version: int


class ContextId(Model):
    """An id and its context."""

    context: str
    id: int


class Difference(Model):
    """A difference that makes two schemas incompatible."""

    rule: str
    direction: str = about("BACKWARD: the new schema reads older events. FORWARD: the old schema reads new events.")
    old_pointer: str = about("JSON Pointer (RFC 6901) into the earlier schema.")
    new_pointer: str = about("JSON Pointer into the new schema.")
    version: int = about("The number of the earlier version.")
    description: str
    fix: str = about("The smallest change of the new schema that removes the difference.")
    decided: bool = about("False when the comparison could not be decided, which counts as a break.")
    witness: Any = maybe("A document that one schema accepts and the other refuses.")


class Compatibility(Model):
    """Whether a schema is compatible."""

    is_compatible: bool
    messages: list[str] = maybe()
    differences: list[Difference] = maybe()


class _Settings(Model):
    compatibilityPolicy: str = maybe("LENIENT or STRICT.")
    normalize: bool = maybe("Whether schemas are normalized when the request has no `normalize`.")
    compatibilityGroup: str = maybe("Stored and returned, without effect, like the following members.")
    defaultMetadata: dict[str, Any] = maybe()
    overrideMetadata: dict[str, Any] = maybe()
    defaultRuleSet: dict[str, Any] = maybe()
    overrideRuleSet: dict[str, Any] = maybe()


class ConfigBody(_Settings):
    """Compatibility settings in a request."""

    compatibility: str = maybe()


class Config(_Settings):
    """Compatibility settings in an answer."""

    compatibilityLevel: str


class ModeBody(Model):
    """A mode."""

    mode: str = about("READWRITE, READONLY or READONLY_OVERRIDE.")


class ServerId(Model):
    """The registry's name."""

    id: str
    scope: dict[str, Any]


class ServerVersion(Model):
    """The registry's version."""

    version: str
    commitId: str


class Refusal(Model):
    """The registry's refusal, which lists all differences of an incompatible schema."""

    error_code: int
    message: str
    differences: list[Difference] = maybe()


JSON, VENDOR = "application/json", "application/vnd.schemaregistry.v1+json"
READ, WRITE = "registry:read", "registry:write"
_REFUSALS = {
    400: "The request cannot be understood.",
    401: "A key is required, and the request has none or an invalid one.",
    403: "The caller may not do this.",
    404: "There is no such subject, version or schema.",
    409: "The schema is not compatible with an earlier version.",
    412: "If-Match is not the current ETag of the definition.",
    413: "The body is too large.",
    415: "The content type is not supported.",
    422: "The registry cannot do this.",
    503: "The database cannot be used now.",
}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The ETag of the definition to change. When the definition has changed since, nothing is changed.",
}
TEXTS = {"type": "array", "items": {"type": "string"}}
NUMBERS = {"type": "array", "items": {"type": "integer"}}
NUMBER = {"type": "integer"}
OBJECT = {"type": "object"}
SCHEMA = {"type": "object", "description": "A JSON Schema."}


def _query_parameter(description: str, kind: str = "boolean", **schema: Any) -> dict[str, Any]:
    return {"schema": {"type": kind, **schema}, "description": description}


_PARTS = {
    "subject": "The subject; its slashes are written %2F.",
    "version": "A number, or `latest`.",
    "id": "The schema's global id.",
    "guid": "The schema's GUID.",
    "namespace": "The namespace of the topic.",
    "resource": "The topic's name.",
}
_QUERY = {
    "deleted": _query_parameter("Include deleted subjects and versions.", default=False),
    "deletedOnly": _query_parameter("Only deleted subjects and versions.", default=False),
    "permanent": _query_parameter("Permanently delete versions that are deleted already.", default=False),
    "normalize": _query_parameter("Normalize the schema: remove its layout, and sort its keys.", default=False),
    "verbose": _query_parameter("Add the reasons to the answer.", default=False),
    "force": _query_parameter("Accepted without effect.", default=False),
    "latestOnly": _query_parameter("Only the latest version of each subject.", default=False),
    "defaultToGlobal": _query_parameter(
        "When the subject has no setting, answer with the one for all subjects.", default=False
    ),
    "fetchMaxId": _query_parameter("Add the highest id of a schema to the answer.", default=False),
    "subjectPrefix": _query_parameter("Only subjects with this prefix.", "string"),
    "key": _query_parameter("The name of a property of the metadata.", "array", items={"type": "string"}),
    "value": _query_parameter("The value of the property.", "array", items={"type": "string"}),
    "offset": _query_parameter("How many results to skip.", "integer", default=0),
    "limit": _query_parameter("The most results to list; -1 lists all.", "integer", default=-1),
}


def declare(
    method: str,
    path: str,
    summary: str,
    answer: Any,
    *,
    request: Any = None,
    refusals: Sequence[int] = (),
    scope: str | None = "",
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Declare the decorated function as the handler of an endpoint. It takes the request and the named parts of the
    path.

    Args:
        path: the path below the registry's, with the names of query parameters, as in `/subjects{?deleted,limit}` (RFC
            6570, 3.2.8).
        request: the model of the request's body, if there is one.
        refusals: the statuses of refusals in addition to the usual ones.
        scope: the required scope; by default `registry:read` for GET and `registry:write` for other methods; None if
            callers need no right.
    """
    needed = (READ if method == "GET" else WRITE) if scope == "" else scope
    path, _, names = path.partition("{?")
    query = names.removesuffix("}").split(",") if names else []
    parts = re.findall(r"\{(\w+)\}", path)
    usual = {400, 401, 403, 503, *((404,) if parts and needed else ()), *((422,) if parts or query else ())}
    usual |= {413, 415, 422} if request else set()
    # A resource that can be read and changed at the same path supports If-Match, which refuses changes of a newer
    # state.
    is_change = method in ("PUT", "DELETE")
    has_condition = is_change and path != "/subjects/{subject}"
    usual |= {412} if is_change else set()
    in_path = [
        {"in": "path", "name": each, "required": True, "schema": {"type": "string"}, "description": _PARTS[each]}
        for each in parts
    ]
    return endpoint(
        method,
        path,
        summary,
        {200: answer},
        tag="registry",
        problems={status: _REFUSALS[status] for status in sorted(usual | set(refusals))},
        requires=Requirement(scope=needed or ""),
        documented_body={} if request is None else {VENDOR: request, JSON: request},
        parameters=[
            *in_path,
            *([_IF_MATCH] if has_condition else []),
            *({"in": "query", "name": each, **_QUERY[each]} for each in query),
        ],
        media_types=(JSON, VENDOR),
        refusal=Refusal,
        has_entity_tag=method == "GET",
    )
