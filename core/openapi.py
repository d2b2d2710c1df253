"""What drf-spectacular does not know of our routes."""

from typing import Any

Endpoint = tuple[str, str, str, Any]


def without_trailing_slashes(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints as they are documented: the slash that every route also takes is left out.

    A preprocessing hook of drf-spectacular, which reads an optional slash (see core.patterns) as one that is there.
    """
    return [(path.rstrip("/") or "/", regex, method, callback) for path, regex, method, callback in endpoints]
