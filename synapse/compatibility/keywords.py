"""Keywords by purpose and draft, and the types of JSON values as bits of a mask.

Numbers have three bits, because `1.0` is an integer from draft 6 on, but not in draft 4.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020 = 4, 6, 7, 2019, 2020
SCHEMA_URIS = {
    DRAFT_4: "http://json-schema.org/draft-04/schema",
    DRAFT_6: "http://json-schema.org/draft-06/schema",
    DRAFT_7: "http://json-schema.org/draft-07/schema",
    DRAFT_2019: "https://json-schema.org/draft/2019-09/schema",
    DRAFT_2020: "https://json-schema.org/draft/2020-12/schema",
}
_DRAFTS = {uri: draft for draft, uri in SCHEMA_URIS.items()}

HOLD_A_SCHEMA = frozenset(
    [
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
HOLD_A_LIST = frozenset(["allOf", "anyOf", "items", "oneOf", "prefixItems"])
HOLD_A_MAP = frozenset(["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"])

ANNOTATIONS = frozenset(
    [
        "$comment",
        "$defs",
        "$schema",
        "contentSchema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
        "x-pii",
        "$anchor",
    ]
)
"""Keywords that do not influence validation. (`$anchor` only gives a name.)"""

SINCE = {
    "const": DRAFT_6, "contains": DRAFT_6, "propertyNames": DRAFT_6, "if": DRAFT_7, "then": DRAFT_7, "else": DRAFT_7,
    "dependentRequired": DRAFT_2019, "dependentSchemas": DRAFT_2019, "minContains": DRAFT_2019,
    "maxContains": DRAFT_2019, "unevaluatedItems": DRAFT_2019, "unevaluatedProperties": DRAFT_2019,
    "prefixItems": DRAFT_2020,
}  # fmt: skip


def draft_of(document: dict[str, Any], otherwise: int = DRAFT_2020) -> int | None:
    """Return the draft that a schema names in `$schema`, or `None` when it is not a published one."""
    named = document.get("$schema")
    if named is None:
        return otherwise
    return _DRAFTS.get(named.rstrip("#")) if isinstance(named, str) else None


def is_known(keyword: str, draft: int) -> bool:
    """Say whether the draft gives the keyword a meaning."""
    return SINCE.get(keyword, DRAFT_4) <= draft


def escape_token(token: str) -> str:
    """Escape a reference token of a JSON Pointer (RFC 6901, 3)."""
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token


def fragment(pointer: str) -> str:
    """Return a JSON Pointer as the fragment of a URI (RFC 6901, 6)."""
    return quote(pointer, safe="/~!$&'()*+,;=:@-._")


def subschemas(schema: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Return the subschemas under the keywords of a schema: keyword, JSON Pointer relative to the schema, subschema."""
    for keyword, value in schema.items():
        if keyword in HOLD_A_SCHEMA and isinstance(value, (dict, bool)):
            yield keyword, "/" + keyword, value
        elif keyword in HOLD_A_LIST and isinstance(value, list):
            for index, item in enumerate(value):
                yield keyword, f"/{keyword}/{index}", item
        elif keyword in HOLD_A_MAP and isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, (dict, bool)):
                    yield keyword, f"/{keyword}/{escape_token(name)}", item


NULL, BOOLEAN, INTEGER, WHOLE, FRACTION, STRING, ARRAY, OBJECT = (1 << bit for bit in range(8))
NUMBER = INTEGER | WHOLE | FRACTION
ANY = (1 << 8) - 1
NOTHING = 0
EACH = (NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT)

_MASKS = {
    "null": NULL,
    "boolean": BOOLEAN,
    "integer": INTEGER | WHOLE,
    "number": NUMBER,
    "string": STRING,
    "array": ARRAY,
    "object": OBJECT,
}


def mask_of(names: Iterable[str], draft: int) -> int:
    """Return the kinds that a `type` keyword names."""
    mask = 0
    for name in names:
        mask |= INTEGER if name == "integer" and draft == 4 else _MASKS[name]
    return mask


def kind_of(value: Any) -> int:
    """Return the kind of a value."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOLEAN
        case int():
            return INTEGER
        case float():
            return WHOLE if value.is_integer() else FRACTION
        case str():
            return STRING
        case list() | tuple():
            return ARRAY
    return OBJECT


def names_of(mask: int) -> list[str]:
    """Return the names of kinds, as in a schema."""
    names = [name for name in ("null", "boolean", "string", "array", "object") if mask & _MASKS[name]]
    if mask & NUMBER:
        names.append("number" if mask & FRACTION else "integer")
    return names


def mask_of_values(values: Iterable[Any]) -> int:
    """Return the kinds of some values."""
    mask = NOTHING
    for value in values:
        mask |= kind_of(value)
    return mask
