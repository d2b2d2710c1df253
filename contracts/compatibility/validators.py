"""The real validator, for whole schemas and for single places of them.

The options are those of `contracts.schemas`: formats are checked, patterns run in linear time, nothing is fetched.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

from contracts.compatibility.keywords import DRAFT_2020, SCHEMA_URIS, fragment

Accepts = Callable[[Any], bool]
Schemas = Mapping[str, Mapping[str, Any]]

_NEST_OF_MAIN = "urn:synapse:compared"
_FAULTS = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, OverflowError, TypeError)
"""What the validator raises for schemas that it cannot compile, and for values that it cannot take."""


def whole(document: Mapping[str, Any], references: Schemas) -> jsonschema_rs.Validator | None:
    """Return the validator of a schema, or `None` when it cannot be compiled."""
    try:
        return _compile(_with_draft(document), _registry(references))
    except _FAULTS:
        return None


def part(document: Mapping[str, Any], references: Schemas, pointer: str) -> jsonschema_rs.Validator | None:
    """Return the validator of one place of a schema, or `None` when it cannot be compiled alone."""
    full = _with_draft(document)
    try:
        registry = _registry({**references, _NEST_OF_MAIN: full})
        base = full.get("$id") if isinstance(full.get("$id"), str) else _NEST_OF_MAIN
        return _compile({"$schema": full["$schema"], "$ref": f"{base}#{fragment(pointer)}"}, registry)
    except _FAULTS:
        return None


def alone(schema: Any, draft: int) -> jsonschema_rs.Validator | None:
    """Return the validator of a schema without references, or `None` when it cannot be compiled."""
    try:
        if isinstance(schema, bool):
            return _compile({"$schema": SCHEMA_URIS[DRAFT_2020], "allOf": [schema]}, None)
        return _compile({**schema, "$schema": SCHEMA_URIS[draft]}, None)
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


def _compile(schema: Any, registry: jsonschema_rs.Registry | None) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(
        schema,
        registry=registry,
        retriever=None if registry else _fetch_nothing,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _registry(references: Schemas) -> jsonschema_rs.Registry | None:
    if not references:
        return None
    resources = [(name, _with_draft(document)) for name, document in references.items()]
    return jsonschema_rs.Registry(resources, retriever=_fetch_nothing)


def _with_draft(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"$schema": SCHEMA_URIS[DRAFT_2020], **document}


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"“{uri}” is outside the schema, and nothing is ever fetched")
