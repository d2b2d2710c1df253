"""JSON Schemas as contracts: compile one, check an event against it.

A schema is hostile until proven otherwise. Nothing is ever fetched: `$ref` reaches only into the schema itself,
`$schema` is one of the published drafts, and patterns run on a linear-time engine, so look-around and
back-references are refused. No Django here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from contracts.errors import BadSchema
from contracts.violations import Violation, json_pointer, violation_of
from core import strict_json

MAX_SCHEMA_BYTES = 64 * 1024
MAX_VIOLATIONS = 50
DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"
DRAFTS = (
    DRAFT_2020_12,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema made ready to check events."""

    document: Mapping[str, Any]
    _validator: jsonschema_rs.Validator

    def accepts(self, event: Any) -> bool:
        """Say whether the event keeps the contract: the fast question."""
        return self._validator.is_valid(event)

    def violations(self, event: Any) -> list[Violation]:
        """Return what the event breaks, at most `MAX_VIOLATIONS` of it: the slow question, asked after a no."""
        return [violation_of(error) for error in islice(self._validator.iter_errors(event), MAX_VIOLATIONS)]

    def top_level_types(self) -> dict[str, frozenset[str]]:
        """Return the JSON types that each named top-level property may have, where the schema says it plainly."""
        properties = self.document.get("properties", {})
        return {name: types for name, schema in properties.items() if (types := _types(schema))}


def parse(text: str | bytes) -> dict[str, Any]:
    """Return the document of a schema's text.

    Raises:
        BadSchema: when the text is too large, is not strict JSON, or is no object.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_SCHEMA_BYTES:
        raise BadSchema(f"The schema is {len(data)} bytes long; at most {MAX_SCHEMA_BYTES} are accepted.")
    try:
        document = strict_json.loads(data)
    except strict_json.BadJSON as error:
        raise BadSchema(str(error)) from None
    if not isinstance(document, dict):
        raise BadSchema("A contract's schema is a JSON object.", pointer="")
    return document


def compile_schema(document: Mapping[str, Any]) -> CompiledSchema:
    """Return the schema, ready to check events.

    Raises:
        BadSchema: when it is no valid schema of its draft, refers to anything outside itself, or checks nothing
            because it refers to itself.
    """
    draft = document.get("$schema", DRAFT_2020_12)
    if not isinstance(draft, str) or draft.rstrip("#") not in DRAFTS:
        raise BadSchema("“$schema” must be one of: " + ", ".join(DRAFTS) + ".", pointer="/$schema")
    if document.get("$ref") in ("#", "#/"):
        raise BadSchema("“$ref” points at the schema itself, so it would check nothing.", pointer="/$ref")
    try:
        validator = jsonschema_rs.validator_for(
            {"$schema": DRAFT_2020_12, **document},
            retriever=_fetch_nothing,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except jsonschema_rs.ValidationError as error:
        raise BadSchema(_reason(error), pointer=json_pointer(error.instance_path)) from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise BadSchema(f"A “$ref” cannot be resolved: {error}") from None
    return CompiledSchema(document, validator)


def canonical_text(document: Mapping[str, Any]) -> str:
    """Return the schema as it is kept: indented, in the author's own order of keys."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"“{uri}” is outside the schema, and nothing is ever fetched")


def _reason(error: jsonschema_rs.ValidationError) -> str:
    if error.kind.name == "format" and error.kind.as_dict().get("format") == "regex":
        return f"The pattern {error.message.split(' is not ')[0]} is not a regular expression of the linear-time kind."
    message = error.message.splitlines()[0]
    return f"Not a valid JSON Schema: {message[:300]}."


def _types(schema: Any) -> frozenset[str]:
    if not isinstance(schema, dict):
        return frozenset()
    types = schema.get("type", ())
    return frozenset([types] if isinstance(types, str) else types)
