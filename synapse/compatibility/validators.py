"""The real validators of whole schemas, of single places in them, and of formats.

They are the validators that check events (`synapse.schema.jsonschema_engine`). The module also has examples for each
format, and tells whether a draft checks it.
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
"""The validator's exceptions for schemas that it cannot compile, and for values that it cannot check."""


def compile_schema(document: Mapping[str, Any], others: Schemas) -> jsonschema_rs.Validator | None:
    """Compile the validator of a schema; `None` when it cannot be compiled. `others` are by address."""
    try:
        return validator_for(document, retrieve=_make_retriever(others))
    except _FAULTS:
        return None


def make_registry(address: str, document: dict[str, Any], others: Schemas) -> jsonschema_rs.Registry | None:
    """Return a registry of schemas for the validators of their parts; `None` when one cannot be read."""
    try:
        return registry_of({address: document}, _make_retriever(others))
    except _FAULTS:
        return None


def compile_part(
    address: str, pointer: str, draft: int, documents: jsonschema_rs.Registry | None
) -> jsonschema_rs.Validator | None:
    """Compile the validator of one place of a schema; `None` when it cannot be compiled."""
    if documents is None:
        return None
    try:
        reference = {"$schema": SCHEMA_URIS[draft], "$ref": f"{address}#{fragment(pointer)}"}
        return validator_for(reference, registry=documents, base_uri=_PART)
    except _FAULTS:
        return None


def compile_alone(schema: Any, draft: int) -> jsonschema_rs.Validator | None:
    """Compile the validator of a schema without references; `None` when it cannot be compiled."""
    try:
        if isinstance(schema, bool):
            return validator_for({"$schema": SCHEMA_URIS[DRAFT_2020], "allOf": [schema]})
        return validator_for({**schema, "$schema": SCHEMA_URIS[draft]})
    except _FAULTS:
        return None


def accepts(validator: jsonschema_rs.Validator, value: Any) -> bool | None:
    """Say whether the validator accepts a value; `None` when it cannot check it."""
    try:
        return validator.is_valid(value)
    except (ValueError, OverflowError, TypeError):
        return None


def first_keyword(validator: jsonschema_rs.Validator, value: Any) -> str:
    """Return the first keyword that refuses the value, "" when none does."""
    error = next(iter(validator.iter_errors(value)), None)
    return "" if error is None else str(error.kind.name)


@lru_cache(maxsize=4096)
def text_matches(pattern: str, text: str) -> bool:
    """Say whether the validator finds a pattern in a text; False for a pattern that it refuses."""
    validator = _pattern_validator(pattern)
    return validator is not None and validator.is_valid(text)


@lru_cache(maxsize=256)
def _pattern_validator(pattern: str) -> jsonschema_rs.Validator | None:
    return compile_alone({"pattern": pattern}, DRAFT_2020)


def _make_retriever(others: Schemas) -> Callable[[str], Any]:
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
"""The least and the greatest lengths of texts of some formats (RFC 9562, 4; RFC 3339, 5.6; RFC 2673, 3.2)."""
_HAS_NO_FORMAT = "\x00 {%%"
# Formats whose definition differs between drafts.
_DIFFERENT_IN_DRAFTS = ("hostname", "idn-hostname", "regex")


@lru_cache(maxsize=512)
def is_checked(name: str, draft: int) -> bool:
    """Say whether the validator of a draft checks the format; other formats are annotations."""
    validator = compile_alone({"format": name}, draft)
    return validator is not None and not validator.is_valid(_HAS_NO_FORMAT)


def format_token(name: str, draft: int) -> str:
    """Return a name of the format that is equal for two drafts only if both define it alike."""
    return f"{name} of draft {draft}" if name in _DIFFERENT_IN_DRAFTS else name


def name_of(token: str) -> str:
    """Return the format of a token."""
    return token.partition(" of draft ")[0]
