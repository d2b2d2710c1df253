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
