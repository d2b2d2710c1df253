"""Additions to the OpenAPI document that drf-spectacular writes."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from synapse.problems import PROBLEM_JSON

Endpoint = tuple[str, str, str, Any]


def without_trailing_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints as documented, without the trailing slash that every route also accepts.

    A preprocessing hook of drf-spectacular, which takes the optional slash of patterns (core.views.route) for a
    required one.
    """
    return [(path.rstrip("/") or "/", regex, method, callback) for path, regex, method, callback in endpoints]


# The ways to authenticate, by their names in the document.
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of Synapse."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of Synapse."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A key of Synapse as the password, for clients of schema registries.",
    },
}
# Callers need any one of them, or none where access is open.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {"basic": []}, {}]
# Response headers, by their names in the document.
HEADERS = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before trying again."},
    "RateLimit-Policy": {"schema": {"type": "string"}, "description": "How often the caller may ask."},
    "RateLimit": {"schema": {"type": "string"}, "description": "How much of that is left."},
    "ETag": {"schema": {"type": "string"}, "description": "Changes with the answer; send it back as If-None-Match."},
    "Accept-Encoding": {
        "schema": {"type": "string"},
        "description": "The content coding of bodies that is decoded, where that of the request is another one.",
    },
}


def with_common_responses(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the responses that every operation can give: 429 above the rate limit, 503 without the database, and 403 for
    cross-site requests that change something. An operation without `security` needs no credentials.

    A postprocessing hook of drf-spectacular.
    """
    for path in result["paths"].values():
        for method, operation in path.items():
            operation.setdefault("security", [])
            responses = operation["responses"]
            responses["429"] = _TOO_MANY_REQUESTS
            unavailable = responses.get("503", _DATABASE_DOWN)
            later = {"headers": _header_references("Retry-After")} if PROBLEM_JSON in unavailable["content"] else {}
            responses["503"] = {**unavailable, **later}
            if method != "get":
                responses.setdefault("403", _FOREIGN_ORIGIN)
    return result


def _header_references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


_PROBLEM = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FOREIGN_ORIGIN = {
    "description": "The caller may not do this, or a page of another site asks where no key is needed.",
    "content": _PROBLEM,
}
_DATABASE_DOWN = {"description": "The database cannot be used now.", "content": _PROBLEM}
_TOO_MANY_REQUESTS = {
    "description": "The caller asks more often than it may. Nothing was looked at.",
    "headers": _header_references("Retry-After", "RateLimit-Policy", "RateLimit"),
    "content": _PROBLEM,
}

# The names of errors among the shared responses. Not from http.HTTPStatus: Python 3.13 renamed two of them.
_ERRORS = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "406": "NotAcceptable",
    "409": "Conflict",
    "412": "PreconditionFailed",
    "413": "ContentTooLarge",
    "415": "UnsupportedMediaType",
    "422": "UnprocessableContent",
    "429": "TooManyRequests",
    "501": "NotImplemented",
    "503": "ServiceUnavailable",
}


def with_shared_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Move repeated parameters, errors and responses without content into shared components. Declare the credentials of
    most operations once for the document; only operations with other credentials declare their own.

    A response that differs from the shared one only in its description keeps that description next to the reference
    (OpenAPI 3.1, Reference Object). A postprocessing hook of drf-spectacular.
    """
    operations = [operation for path in result["paths"].values() for operation in path.values()]
    parameters = _drop_duplicate_spellings(
        _find_repeated((each["name"], each) for operation in operations for each in operation.get("parameters", ()))
    )
    responses = _find_repeated(
        (name, response)
        for operation in operations
        for status, response in operation["responses"].items()
        if (name := _error_name(status, response))
    )
    result["security"] = SECURITY
    for operation in operations:
        if operation["security"] == SECURITY:
            del operation["security"]
        if "parameters" in operation:
            operation["parameters"] = [
                {"$ref": f"#/components/parameters/{each['name']}"} if each == parameters.get(each["name"]) else each
                for each in operation["parameters"]
            ]
        for status, response in operation["responses"].items():
            name = _error_name(status, response)
            if (shared := responses.get(name)) and {**response, "description": shared["description"]} == shared:
                own = {} if response == shared else {"description": response["description"]}
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}", **own}
    result["components"] |= {"parameters": parameters, "responses": responses}
    return result


def _error_name(status: str, response: dict[str, Any]) -> str:
    """Return the name of an error, or of a 304, among the shared responses, such as `NotFoundProblem`, from its status
    and schema. Return "" for other responses, which are not shared.
    """
    if status == "304":
        return "NotModified"
    shapes = {content["schema"].get("$ref", "").rpartition("/")[2] for content in response.get("content", {}).values()}
    return f"{_ERRORS[status]}{shapes.pop()}" if status in _ERRORS and len(shapes) == 1 else ""


def _drop_duplicate_spellings(parameters: dict[str, Any]) -> dict[str, Any]:
    """Drop parameters whose name another one has with different case or punctuation, such as `last_event_id` and
    `Last-Event-ID`: client generators would give both the same type name.
    """
    found: dict[str, Any] = {}
    for name, parameter in parameters.items():
        found.setdefault("".join(filter(str.isalnum, name.lower())), (name, parameter))
    return dict(found.values())


def _find_repeated(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values that occur several times, by name. If a name has different values, return the most frequent
    one.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, value in values:
        counts[name][json.dumps(value)] += 1
    most = {name: count.most_common(1)[0] for name, count in sorted(counts.items())}
    return {name: json.loads(text) for name, (text, times) in most.items() if times > 1}
