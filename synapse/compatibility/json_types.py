"""The kinds of JSON values, as bits of a mask.

Numbers are three kinds: drafts from 6 on call `1.0` an integer, and draft 4 does not.
"""

from collections.abc import Iterable
from typing import Any

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
    """Return the names of kinds, as a schema spells them."""
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
