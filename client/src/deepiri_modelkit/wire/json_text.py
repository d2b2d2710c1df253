"""JSON in entries: compact text, and only values that all readers interpret in the same way."""

import json
import math
import re
from typing import Any, NoReturn

from deepiri_modelkit.errors import InvalidEvent

MAX_DEPTH = 64
"""The deepest nesting of an event: the limit of the server's HTTP API, so that both accept the same events."""

# A foreign value with deeper nesting stays text, because most JSON libraries, the server's included, could not write
# it.
_DEEPEST_READ = 254
# Beyond 64 bits, readers in other languages silently round numbers (RFC 8259, 6).
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}


def dumps(value: Any) -> str:
    """Return the compact JSON text of a value that passed `check_value`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def check_value(value: Any, place: str, depth: int = 1) -> None:
    """Check that a value can be stored as JSON and parsed to the same value.

    `place` is its JSON Pointer, for the message. A tuple counts as an array.

    Raises:
        InvalidEvent: for values that are not JSON, NaN and infinities, integers beyond 64 bits, keys that are not
            strings, text with lone surrogates or NUL, and nesting deeper than `MAX_DEPTH`.
    """
    if isinstance(value, str):
        _check_text(value, place)
    elif isinstance(value, dict | list | tuple) and depth > MAX_DEPTH:
        raise InvalidEvent(f"The event is nested more than {MAX_DEPTH} levels deep, or contains itself.")
    elif isinstance(value, dict):
        for key, part in value.items():
            check_key(key, place)
            check_value(part, f"{place}/{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            check_value(part, f"{place}/{index}", depth + 1)
    else:
        _check_scalar(value, place)


def check_key(key: Any, place: str) -> None:
    """Check that the name of a property is a text.

    Raises:
        InvalidEvent: when it is not.
    """
    if not isinstance(key, str):
        inside = f"In “{place}”, the" if place else "The"
        raise InvalidEvent(f"{inside} property name {key!r} is no string.")
    _check_text(key, place)


def parse(text: str) -> Any:
    """Return the number, boolean, null, object or array that a text is in JSON, otherwise the text itself."""
    if text[:1] in ("{", "["):
        return loads(text, otherwise=text)
    if _NUMBER.fullmatch(text):
        number = loads(text, otherwise=text)
        # Larger integers would lose digits in other readers, so long identifiers stay text.
        return text if isinstance(number, float) and text.lstrip("-").isdigit() else number
    return _WORDS.get(text, text)


def loads(text: str, *, otherwise: Any) -> Any:
    """Return the value of a JSON text, or `otherwise` if it is not JSON."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_parse_integer, parse_float=_parse_finite)
        # An escaped lone surrogate is not a character, and could not be encoded again.
        if "\\u" in text:
            dumps(value).encode()
        if text.count("[") + text.count("{") > _DEEPEST_READ and _depth_of(value) > _DEEPEST_READ:
            return otherwise
    except (ValueError, RecursionError):
        return otherwise
    return value


def _check_text(text: str, place: str) -> None:
    if "\0" in text:
        raise InvalidEvent(f"The text at “{place}” contains the NUL character, which databases cannot store.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidEvent(f"The text at “{place}” contains half a character (a lone surrogate).") from None


def _check_scalar(value: Any, place: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not _SMALLEST <= value <= _LARGEST:
            raise InvalidEvent(f"The integer at “{place}” does not fit in 64 bits; send it as a string.")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidEvent(f"The number at “{place}” is {value}, which JSON does not know.")
    else:
        raise InvalidEvent(f"The value at “{place}” is of type {type(value).__name__}, which is no JSON value.")


def _depth_of(value: Any) -> int:
    """Return the nesting depth of arrays and objects."""
    depth = 0
    level = [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
    return depth


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _parse_integer(text: str) -> int | float:
    # At most 20 digits and a sign can fit into 64 bits. Converting a million digits would take seconds.
    if len(text) <= 20 and _SMALLEST <= (number := int(text)) <= _LARGEST:
        return number
    return _parse_finite(text)


def _parse_finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number
