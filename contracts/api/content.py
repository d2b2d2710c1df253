"""A schema in the body of a request, to be registered, looked up or compared."""

from typing import Any

import orjson

from contracts import registry
from contracts.api import request_parser
from contracts.api.errors import INVALID_RULES, INVALID_SCHEMA, NOT_PERMITTED, TOO_LARGE, Refused
from contracts.models import Contract
from contracts.registry import Content, Reference, settings
from synapse.errors.contracts import BadSchema, UnresolvedReference
from synapse.formats.exact_json import is_integer
from synapse.http.exchange import Request
from synapse.schema.validator import MAX_SCHEMA_BYTES, normal_text

JSON = "JSON"
_LARGEST_NUMBER = 2**31 - 1


def content_of(request: Request, subject: str) -> Content:
    """Return the schema in the request's body for a subject.

    Raises:
        BadSchema, Refused: when it is of another type, or cannot be read.
    """
    found = request_parser.body(request)
    kind = request_parser.text_in(found, "schemaType", "AVRO").upper()
    if kind != JSON:
        said = (
            "says AVRO, which is what a registry takes one for that says nothing"
            if kind == "AVRO"
            else f"says {kind[:30]}"
        )
        raise Refused(
            INVALID_SCHEMA, f'Only JSON Schema is kept here, and this schema {said}. Send "schemaType": "JSON".'
        )
    text = request_parser.text_in(found, "schema")
    if not text.strip():
        raise BadSchema("“schema” is missing: the schema as a text that holds JSON.")
    content = Content(
        text=text,
        references=_references(found.get("references")),
        metadata=_kept(found, "metadata", INVALID_SCHEMA),
        rule_set=_kept(found, "ruleSet", INVALID_RULES),
    )
    if not request_parser.flag(request, "normalize", default=settings.normalizes(subject)):
        return content
    return Content(
        text=normal_text(content.document),
        references=sorted(content.references, key=lambda reference: reference.name),
        metadata=content.metadata,
        rule_set=content.rule_set,
    )


def refuse_given_ids(request: Request) -> None:
    """Refuse a body with a global id: only the database gives ids, so that each is unique."""
    given = request_parser.body(request).get("id")
    if given not in (None, -1, 0):
        raise Refused(NOT_PERMITTED, "A schema's id is given by the registry; leave “id” out.")


def _kept(found: dict[str, Any], name: str, code: int) -> dict[str, Any] | None:
    value = found.get(name)
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise Refused(code, f"“{name}” is a JSON object.")
    if len(orjson.dumps(value)) > MAX_SCHEMA_BYTES:
        raise Refused(TOO_LARGE, f"“{name}” is longer than {MAX_SCHEMA_BYTES} bytes.")
    return value


def _references(found: Any) -> list[Reference]:
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise BadSchema("“references” is a list of objects with “name”, “subject” and “version”.")
    references = [_reference(each) for each in found]
    if len({reference.name for reference in references}) != len(references):
        raise BadSchema("Two references have the same name.")
    return references


def _reference(found: dict[str, Any]) -> Reference:
    name, subject = request_parser.text_in(found, "name"), request_parser.text_in(found, "subject")
    number = found.get("version")
    if not 0 < len(name) <= 255 or not subject:
        raise BadSchema("A reference has a “name” of at most 255 characters, and a “subject”.")
    if not is_integer(number, -1, _LARGEST_NUMBER) or number == 0:
        raise BadSchema(f"The reference “{name[:100]}” names no version.")
    return Reference(name=name, subject=subject, version=_latest(name, subject) if number == -1 else number)


def _latest(name: str, subject: str) -> int:
    owner = Contract.objects.filter(subject=subject).first()
    found = None if owner is None else registry.latest_version(owner)
    if found is None or found.number is None:
        raise UnresolvedReference(f"The reference “{name[:100]}” is to “{subject[:255]}”, which is not there.")
    return found.number
