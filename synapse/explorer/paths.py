"""Paths of values in an event, such as `customer.email` or `items.0.sku`: the columns of pages and exported tables."""

from collections.abc import Mapping, Sequence
from typing import Any

MISSING = object()
# The most digits of an index of a list.
_MOST_DIGITS = 9


def value_at(value: Any, path: Sequence[str]) -> Any:
    """Return the value at a path, `MISSING` where there is none.

    A name with dots is several elements of the path. If several names fit, the longest is used.
    """
    while path:
        length = 1
        if isinstance(value, Mapping):
            length = next((most for most in range(len(path), 0, -1) if ".".join(path[:most]) in value), 0)
            if not length:
                return MISSING
            value = value[".".join(path[:length])]
        elif isinstance(value, list) and _is_place(path[0]) and int(path[0]) < len(value):
            value = value[int(path[0])]
        else:
            return MISSING
        path = path[length:]
    return value


def _is_place(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= _MOST_DIGITS
