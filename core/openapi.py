"""What drf-spectacular does not know of our routes."""

from typing import Any

Endpoint = tuple[str, str, str, Any]


def without_trailing_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints as they are documented: the slash that every route also takes is left out.

    A preprocessing hook of drf-spectacular, which reads an optional slash (see core.patterns) as one that is there.
    """
    return [(path.rstrip("/") or "/", regex, method, callback) for path, regex, method, callback in endpoints]


# How callers of the API say who they are, by the names that the document gives to it.
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of Synapse."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of Synapse."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A key of Synapse as the password, for clients of schema registries.",
    },
}
# Any of them; or none, where access is open.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {"basic": []}, {}]


def with_what_all_answer(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the document with the answers that every operation gives: 429 to who asks too often, 503 without the
    database and, when it could change something, 403 to pages of other sites.

    A postprocessing hook of drf-spectacular.
    """
    for path in result["paths"].values():
        for method, operation in path.items():
            operation["responses"]["429"] = _TOO_MANY_REQUESTS
            operation["responses"].setdefault("503", _DATABASE_DOWN)
            if method != "get":
                operation["responses"].setdefault("403", _FOREIGN_ORIGIN)
    return result


_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_FOREIGN_ORIGIN = {
    "description": "The caller may not do this, or a page of another site asks where no key is needed.",
    "content": _PROBLEM,
}
_DATABASE_DOWN = {"description": "The database cannot be used now.", "content": _PROBLEM}
_TOO_MANY_REQUESTS = {
    "description": "The caller asks more often than it may. Nothing was looked at.",
    "headers": {
        "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before trying again."},
        "RateLimit-Policy": {"schema": {"type": "string"}, "description": "How often the caller may ask."},
        "RateLimit": {"schema": {"type": "string"}, "description": "How much of that is left."},
    },
    "content": _PROBLEM,
}
