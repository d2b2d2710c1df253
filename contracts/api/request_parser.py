"""Parsing of the registry's requests, and of the schemas in them.

Clients write parameters in several ways. All unambiguous ones are accepted.
"""

from typing import Any

import orjson

from contracts import registry
from contracts.api.errors import INVALID_RULES, INVALID_SCHEMA, INVALID_VERSION, NOT_PERMITTED, TOO_LARGE, Refused
from contracts.models import Contract
from contracts.registry import Content, Reference, settings
from synapse.errors.contracts import BadSchema, UnresolvedReference
from synapse.formats import strict_json
from synapse.formats.exact_json import is_integer
from synapse.http.exchange import Request
from synapse.problems import BadRequest, PayloadTooLarge, UnsupportedMediaType
from synapse.schema.validator import MAX_SCHEMA_BYTES, normal_text

# The most bytes of a body. It holds the schema as a JSON string, with escapes, and its metadata and rules.
MAX_BODY = 1024 * 1024
MEDIA_TYPES = (
    "application/json",
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/octet-stream",
)
LATEST = ("latest", "-1")
# The only supported type of schemas.
JSON = "JSON"
_LARGEST = 2**31 - 1


def flag(request: Request, *names: str, default: bool = False) -> bool:
    """Return a Boolean query parameter by any of its names, in any case, since some clients write `False`."""
    text = text_of(request, *names).lower()
    if text not in ("", "true", "false"):
        raise BadRequest(f"“{names[0]}” is true or false.")
    return text == "true" if text else default


def text_of(request: Request, *names: str) -> str:
    """Return a query parameter by any of its names, "" if it is missing."""
    return next((text for name in names if (text := request.query.get(name, ""))), "")


def page(request: Request, values: Any) -> Any:
    """Return the part of a list or a query set that `offset` and `limit` select. A limit of -1 means no limit."""
    offset, limit = _integer_in(request, "offset", 0), _integer_in(request, "limit", -1)
    start = max(offset, 0)
    return values[start:] if limit < 0 else values[start : start + limit]


def version(text: str) -> int | None:
    """Parse the number of a version; None for the latest."""
    if text in LATEST:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _LARGEST:
        return int(text)
    raise Refused(
        INVALID_VERSION,
        f"The version “{text[:50]}” is no number of a version: it is between 1 and 2^31-1, or “latest”.",
    )


def id_of(text: str) -> int:
    """Parse a global id. Return 0, which no schema has, for a text that is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def body(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        BadRequest: when the body is not a JSON object.
        PayloadTooLarge: when it is longer than `MAX_BODY`.
        UnsupportedMediaType: when the content type is not one of `MEDIA_TYPES`. Pages of other sites can send texts and
            forms without a preflight request, so these are refused.
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
    """Return a text member of a body. Null counts as missing.

    Raises:
        BadSchema: when the member is not a text.
    """
    text = found.get(name)
    if text is None:
        return default
    if not isinstance(text, str):
        raise BadSchema(f"“{name}” is a text.")
    return text


def _integer_in(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise BadRequest(f"“{name}” is a whole number.")
    return int(text)


def content_of(request: Request, subject: str) -> Content:
    """Parse the schema in a request's body for a subject.

    Raises:
        BadSchema, Refused: when the schema is not a JSON Schema, or cannot be parsed.
    """
    found = body(request)
    kind = text_in(found, "schemaType", "AVRO").upper()
    if kind != JSON:
        said = (
            "says AVRO, or has no “schemaType”, which means AVRO in a registry"
            if kind == "AVRO"
            else f"says {kind[:30]}"
        )
        raise Refused(
            INVALID_SCHEMA, f'Only JSON Schema is kept here, and this schema {said}. Send "schemaType": "JSON".'
        )
    text = text_in(found, "schema")
    if not text.strip():
        raise BadSchema("“schema” is missing: the schema as a text that holds JSON.")
    content = Content(
        text=text,
        references=_parse_references(found.get("references")),
        metadata=_object_in(found, "metadata", INVALID_SCHEMA),
        rule_set=_object_in(found, "ruleSet", INVALID_RULES),
    )
    if not flag(request, "normalize", default=settings.normalizes(subject)):
        return content
    return Content(
        text=normal_text(content.document),
        references=sorted(content.references, key=lambda reference: reference.name),
        metadata=content.metadata,
        rule_set=content.rule_set,
    )


def refuse_given_ids(request: Request) -> None:
    """Refuse a body with a global id: only the database assigns ids, so that they are unique."""
    given = body(request).get("id")
    if given not in (None, -1, 0):
        raise Refused(NOT_PERMITTED, "A schema's id is given by the registry; leave “id” out.")


def _object_in(found: dict[str, Any], name: str, code: int) -> dict[str, Any] | None:
    value = found.get(name)
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise Refused(code, f"“{name}” is a JSON object.")
    if len(orjson.dumps(value)) > MAX_SCHEMA_BYTES:
        raise Refused(TOO_LARGE, f"“{name}” is longer than {MAX_SCHEMA_BYTES} bytes.")
    return value


def _parse_references(found: Any) -> list[Reference]:
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadSchema("“references” is a list of objects with “name”, “subject” and “version”.")
    references = [_parse_reference(each) for each in found]
    if len({reference.name for reference in references}) != len(references):
        raise BadSchema("Two references have the same name.")
    return references


def _parse_reference(found: dict[str, Any]) -> Reference:
    name, subject = text_in(found, "name"), text_in(found, "subject")
    number = found.get("version")
    if not 0 < len(name) <= 255 or not subject:
        raise BadSchema("A reference has a “name” of at most 255 characters, and a “subject”.")
    if not is_integer(number, -1, _LARGEST) or number == 0:
        raise BadSchema(f"The reference “{name[:100]}” names no version.")
    return Reference(name=name, subject=subject, version=_latest_number(name, subject) if number == -1 else number)


def _latest_number(name: str, subject: str) -> int:
    owner = Contract.objects.filter(subject=subject).first()
    found = None if owner is None else registry.latest_version(owner)
    if found is None or found.number is None:
        raise UnresolvedReference(f"The reference “{name[:100]}” is to “{subject[:255]}”, which is not there.")
    return found.number
