"""Ask the real validator about whole schemas, single places of them, and formats.

Validators are those of `synapse.schema.jsonschema_engine`, as events have them. For each format there are examples,
and whether a draft checks it.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

from synapse.compatibility.keywords import DRAFT_2020, SCHEMA_URIS, fragment
from synapse.schema.jsonschema_engine import registry_of, validator_for

Accepts = Callable[[Any], bool]
Schemas = Mapping[str, dict[str, Any]]

_PART = "urn:synapse:part"
_FAULTS = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, OverflowError, TypeError)
"""The validator's exceptions for schemas that it cannot compile, and for values that it cannot take."""


def whole(document: Mapping[str, Any], others: Schemas) -> jsonschema_rs.Validator | None:
    """Return the validator of a schema, or `None` when it cannot be compiled. `others` go by their addresses."""
    try:
        return validator_for(document, retrieve=_retriever(others))
    except _FAULTS:
        return None


def registry(address: str, document: dict[str, Any], others: Schemas) -> jsonschema_rs.Registry | None:
    """Return a schema and others for the validators of their parts, or `None` when one cannot be read."""
    try:
        return registry_of({address: document}, _retriever(others))
    except _FAULTS:
        return None


def part(
    address: str, pointer: str, draft: int, documents: jsonschema_rs.Registry | None
) -> jsonschema_rs.Validator | None:
    """Return the validator of one place of a schema, or `None` when it cannot be compiled alone."""
    if documents is None:
        return None
    try:
        reference = {"$schema": SCHEMA_URIS[draft], "$ref": f"{address}#{fragment(pointer)}"}
        return validator_for(reference, registry=documents, base_uri=_PART)
    except _FAULTS:
        return None


def alone(schema: Any, draft: int) -> jsonschema_rs.Validator | None:
    """Return the validator of a schema without references, or `None` when it cannot be compiled."""
    try:
        if isinstance(schema, bool):
            return validator_for({"$schema": SCHEMA_URIS[DRAFT_2020], "allOf": [schema]})
        return validator_for({**schema, "$schema": SCHEMA_URIS[draft]})
    except _FAULTS:
        return None


def accepts(validator: jsonschema_rs.Validator, value: Any) -> bool | None:
    """Say whether the value is accepted; `None` when the validator cannot take it."""
    try:
        return validator.is_valid(value)
    except (ValueError, OverflowError, TypeError):
        return None


def first_keyword(validator: jsonschema_rs.Validator, value: Any) -> str:
    """Return the keyword that refuses the value, or nothing."""
    error = next(iter(validator.iter_errors(value)), None)
    return "" if error is None else str(error.kind.name)


@lru_cache(maxsize=4096)
def text_matches(pattern: str, text: str) -> bool:
    """Say whether a pattern is found in a text, as the validator sees it; false for a pattern that it refuses."""
    validator = _pattern(pattern)
    return validator is not None and validator.is_valid(text)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> jsonschema_rs.Validator | None:
    return alone({"pattern": pattern}, DRAFT_2020)


def _retriever(others: Schemas) -> Callable[[str], Any]:
    def retrieve(address: str) -> Any:
        if address not in others:
            raise ValueError(f"“{address}” is outside the schema, and nothing is ever fetched")
        return others[address]

    return retrieve


EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "date-time": ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.123456+01:00"),
    "date": ("2024-01-15",),
    "time": ("10:30:00Z", "10:30:00.5+01:00"),
    "duration": ("P1D", "PT36H"),
    "email": ("a@example.com",),
    "idn-email": ("a@example.com", "ä@example.com"),
    "hostname": ("example.com", "a"),
    "idn-hostname": ("example.com", "bücher.example"),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1", "::1"),
    "uri": ("https://example.com/a", "urn:a:b"),
    "uri-reference": ("/a", "https://example.com/a", ""),
    "iri": ("https://example.com/ä",),
    "iri-reference": ("/ä", ""),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000",),
    "uri-template": ("/a/{b}", "a"),
    "json-pointer": ("/a", ""),
    "relative-json-pointer": ("0", "1/a"),
    "regex": ("^a$", ""),
    "base64": ("YWJj", ""),
    "json": ("1", '{"a": 1}'),
}
LENGTHS: Mapping[str, tuple[int, int]] = {"uuid": (36, 36), "date": (10, 10), "ipv4": (7, 15)}
"""How short and how long the texts of some formats are (RFC 9562, 4; RFC 3339, 5.6; RFC 2673, 3.2)."""
_HAS_NO_FORMAT = "\x00 {%%"
# Their meaning has moved with the drafts.
_DIFFERENT_IN_DRAFTS = ("hostname", "idn-hostname", "regex")


@lru_cache(maxsize=512)
def is_checked(name: str, draft: int) -> bool:
    """Say whether the validator of a draft checks the format; other formats inform only."""
    validator = alone({"format": name}, draft)
    return validator is not None and not validator.is_valid(_HAS_NO_FORMAT)


def token(name: str, draft: int) -> str:
    """Return the format under a name that is the same for two drafts only when both check the same."""
    return f"{name} of draft {draft}" if name in _DIFFERENT_IN_DRAFTS else name


def name_of(token: str) -> str:
    """Return the format that a token stands for."""
    return token.partition(" of draft ")[0]
