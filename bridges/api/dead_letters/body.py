"""The body of a request that acts on dead letters: a JSON object of which every member is known."""

from collections.abc import Collection, Mapping
from typing import Any

from core import strict_json
from core.http import JSON, Request
from core.problems import BadParameter, BadRequest, UnsupportedMediaType


def read(request: Request, *, known: Collection[str], required: bool = True) -> Mapping[str, Any]:
    """Return the members of the body; where it is not `required`, none of an empty one.

    Raises:
        UnsupportedMediaType: when it is not JSON.
        BadRequest: when it cannot be read, or is no object.
        BadParameter: when it has a member that nobody would look at.
    """
    if not request.body.strip() and not required:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise UnsupportedMediaType(f"Send the request with Content-Type {JSON}.")
    try:
        value = strict_json.loads(request.body)
    except strict_json.BadJSON as error:
        raise BadRequest(str(error)) from None
    if not isinstance(value, dict):
        raise BadRequest("The body is a JSON object.")
    for name in value:
        if name not in known:
            raise BadParameter(f"“{name[:100]}” is not known here; {', '.join(known)} are.", parameter=name[:100])
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return a member that is true or false; false when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadParameter(f"“{name}” is true or false.", parameter=name)
    return bool(value)


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a member that is a text; "" when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadParameter(f"“{name}” is a text.", parameter=name)
    return value or ""


def whole_number(body: Mapping[str, Any], name: str, *, most: int) -> int:
    """Return a member that is a whole number from 1 to `most`; `most` when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value = body.get(name)
    if value is None:
        return most
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadParameter(f"“{name}” is a whole number from 1 to {most}.", parameter=name)
    return value
