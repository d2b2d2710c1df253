"""The body of a request that is to do something: a JSON object of which every member is known."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from synapse.formats import strict_json
from synapse.formats.numbers import is_integer
from synapse.http.exchange import JSON, Request
from synapse.problems import BadParameter, BadRequest, UnsupportedMediaType


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


def texts(body: Mapping[str, Any], name: str) -> list[str]:
    """Return a member that is a list of texts; an empty one when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadParameter(f"“{name}” is a list of texts.", parameter=name)
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


def seconds(body: Mapping[str, Any], name: str, *, most: timedelta) -> timedelta | None:
    """Return a member that is a whole number of seconds, 0 to `most`; None when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value, longest = body.get(name), int(most.total_seconds())
    if value is None:
        return None
    if not is_integer(value, 0, longest):
        raise BadParameter(f"“{name}” is a whole number of seconds, from 0 to {longest}.", parameter=name)
    return timedelta(seconds=value)


def whole_number(body: Mapping[str, Any], name: str, *, most: int) -> int:
    """Return a member that is a whole number from 1 to `most`; `most` when it is not there.

    Raises:
        BadParameter: when it is something else.
    """
    value = body.get(name)
    if value is None:
        return most
    if not is_integer(value, 1, most):
        raise BadParameter(f"“{name}” is a whole number from 1 to {most}.", parameter=name)
    return value
