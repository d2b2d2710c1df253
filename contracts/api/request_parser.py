"""Parsing of the registry's requests. Clients write parameters in several ways; all unambiguous ones are accepted."""

from typing import Any

from contracts.api.errors import INVALID_VERSION, Refused
from synapse.errors.contracts import BadSchema
from synapse.formats import strict_json
from synapse.http.exchange import Request
from synapse.problems import BadRequest, PayloadTooLarge, UnsupportedMediaType

# A schema in a JSON string, written with escapes, and what is kept with it.
MAX_BODY = 1024 * 1024
MEDIA_TYPES = (
    "application/json",
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/octet-stream",
)
LATEST = ("latest", "-1")
_LARGEST = 2**31 - 1


def flag(request: Request, *names: str, default: bool = False) -> bool:
    """Return a Boolean query parameter by any of its names. Some clients write `False`."""
    text = text_of(request, *names).lower()
    if text not in ("", "true", "false"):
        raise BadRequest(f"“{names[0]}” is true or false.")
    return text == "true" if text else default


def text_of(request: Request, *names: str) -> str:
    """Return a query parameter by any of its names, "" when it is missing."""
    return next((text for name in names if (text := request.query.get(name, ""))), "")


def page(request: Request, values: Any) -> Any:
    """Return the part of a list or a query selected by `offset` and `limit`; a limit of -1 means no limit."""
    offset, limit = _whole(request, "offset", 0), _whole(request, "limit", -1)
    start = max(offset, 0)
    return values[start:] if limit < 0 else values[start : start + limit]


def version(text: str) -> int | None:
    """Return the number of a version, None for the latest."""
    if text in LATEST:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _LARGEST:
        return int(text)
    raise Refused(
        INVALID_VERSION,
        f"The version “{text[:50]}” is no number of a version: it is between 1 and 2^31-1, or “latest”.",
    )


def id_of(text: str) -> int:
    """Return a global id; 0, which no schema has, for a text that is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def body(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        BadRequest: when it is none.
        PayloadTooLarge: when it is longer than `MAX_BODY`.
        UnsupportedMediaType: when it says to be something else. A page of another site can send texts and forms
            unasked, so they are not read.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        raise UnsupportedMediaType(f"Send {MEDIA_TYPES[1]} or {MEDIA_TYPES[0]}.")
    data = request.body
    if len(data) > MAX_BODY:
        raise PayloadTooLarge(f"The body is {len(data)} bytes long; at most {MAX_BODY} are accepted.")
    try:
        found = strict_json.loads(data)
    except strict_json.BadJSON as error:
        raise BadRequest(str(error)) from None
    if not isinstance(found, dict):
        raise BadRequest("The body is a JSON object.")
    return found


def text_in(found: dict[str, Any], name: str, default: str = "") -> str:
    """Return a text member of a body; null counts as missing.

    Raises:
        BadSchema: when it is something else.
    """
    text = found.get(name)
    if text is None:
        return default
    if not isinstance(text, str):
        raise BadSchema(f"“{name}” is a text.")
    return text


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise BadRequest(f"“{name}” is a whole number.")
    return int(text)
