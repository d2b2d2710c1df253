"""Strict JSON (RFC 8259), without anything that two parsers could read differently.

Refused beside malformed text: duplicate keys (RFC 8259, 4: unpredictable), integers that 64 bits cannot hold and
numbers beyond a double (RFC 8259, 6: not interoperable), NUL characters (PostgreSQL cannot store them), lone
surrogates, and nesting deeper than `MAX_DEPTH`. A decimal with more digits than a double keeps all of them.

The common case is fast: when the parsed value written again gives the same bytes, no key was lost and no number was
changed, so only the byte scans remain. Everything else takes the exact parser.
"""

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import orjson

from synapse.formats import exact_json
from synapse.formats.exact_json import ExactNumber

MAX_DEPTH = 64
MAX_KEYS = 1024
MAX_NODES = 10_000
MAX_STRING = 64 * 1024
MAX_DECIMAL_PLACES = 1_000
# Shorter texts cannot exceed a limit on nodes, keys or strings.
SMALL = 4 * 1024
# Up to this many bytes, parsing takes negligible time for any content.
LONG = 32 * 1024
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
TOO_MANY_PARTS = f"The value has more than {MAX_NODES} parts."


class BadJSON(ValueError):
    """The text is not acceptable JSON; the message is a sentence with the reason and the position.

    `stage` is the order of the checks: of several errors, the one of the earliest stage is reported.
    """

    TEXT, DEPTH, VALUES, NUL = range(4)

    def __init__(self, message: str, *, stage: int = VALUES) -> None:
        super().__init__(message)
        self.stage = stage


class Malformed(BadJSON):
    """The text breaks the grammar of JSON, at the character `at`, in a line and column that count from 1."""

    def __init__(self, reason: str, *, at: int, line: int, column: int) -> None:
        super().__init__(f"Not valid JSON: {reason} (line {line}, column {column}).", stage=self.TEXT)
        self.reason = reason
        self.at = at
        self.line = line
        self.column = column


class NotUnicode(BadJSON):
    """The text is not UTF-8; the message names the first wrong byte."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(f"The text is not UTF-8: byte {at} (0x{data[at]:02x}) does not belong there.", stage=self.TEXT)


def loads(data: bytes, *, max_depth: int = MAX_DEPTH, with_doubles: bool = False) -> Any:
    """Parse JSON strictly. `with_doubles`: each number with a point or an exponent becomes the nearest double.

    Raises:
        BadJSON: for everything that the module's description refuses.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _explain(data, error) from None
    if _may_be_deeper(data, value, max_depth) and _is_deeper(value, max_depth):
        raise too_deep(stage=BadJSON.DEPTH)
    if orjson.dumps(value) != data:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_int=_parse_integer,
            parse_float=partial(_parse_number, float if with_doubles else exact_json.number),
            parse_constant=_refuse_constant,
        )
    if b"\\u0000" in data and any("\0" in text for text in _all_strings(value)):
        raise BadJSON("A string contains the NUL character (\\u0000), which databases cannot store.", stage=BadJSON.NUL)
    return value


def loads_value(data: bytes) -> Any:
    """Parse JSON strictly, with limits on keys, strings and parts. A long text with too many parts is refused before it
    is parsed, which would take long.

    Raises:
        BadJSON: as `loads` and `check_size` do.
    """
    if len(data) > LONG and count_parts(data) > MAX_NODES:
        raise BadJSON(TOO_MANY_PARTS)
    value = loads(data)
    check_size(value, len(data))
    return value


def too_deep(*, stage: int) -> BadJSON:
    """Return the error for a value with too many levels."""
    return BadJSON(f"The value is nested more than {MAX_DEPTH} levels deep.", stage=stage)


def count_parts(data: bytes) -> int:
    """Return the number of parts of a JSON text's value, without parsing it. Numbers up to MAX_NODES may be too
    high.
    """
    parts = 1 + data.count(b",") + data.count(b"[") + data.count(b"{")
    if parts <= MAX_NODES:
        return parts
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # Without the contents of strings.
    data = b'""'.join(data.split(b'"')[::2]).translate(None, b" \t\n\r")
    filled = sum(map(data.count, (b"[", b"{"))) - sum(map(data.count, (b"[]", b"{}")))
    return 1 + data.count(b",") + filled


def check_size(value: Any, size: int) -> None:
    """Check one value, whose text has `size` bytes, against the limits on keys, strings and parts.

    Raises:
        BadJSON: when it breaks one.
    """
    if size > SMALL:
        _check_size(value)


def _explain(data: bytes, error: orjson.JSONDecodeError) -> BadJSON:
    if not data.strip():
        return BadJSON("The body is empty; a JSON value was expected.", stage=BadJSON.TEXT)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as bad:
        return NotUnicode(data, bad.start)
    if data.startswith(b"\xef\xbb\xbf"):
        return BadJSON(
            "The text begins with a byte order mark; send UTF-8 without one (RFC 8259, 8.1).", stage=BadJSON.TEXT
        )
    reason = error.msg.split(": line ")[0]
    if "recursion" in reason or "depth" in reason:
        return too_deep(stage=BadJSON.TEXT)
    if "infinity" in reason:
        found = _NUMBER.match(error.doc, error.pos)
        shown = f" {_quote(found[0])}" if found else ""
        reason = f"the number{shown} is larger than a double can hold; send it as a string"
    return Malformed(reason, at=error.pos, line=error.lineno, column=error.colno)


def _may_be_deeper(data: bytes, value: Any, levels: int) -> bool:
    """Say, by counting brackets, whether a value may be nested deeper than `levels`."""
    brackets = data.count(b"{") + data.count(b"[")
    if brackets > levels and type(value) is list:
        # The deepest part is in one item of the array, so the brackets of the other objects do not count.
        brackets -= max(0, [type(item) for item in value].count(dict) - 1)
    return brackets > levels


def _is_deeper(value: Any, levels: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(levels):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJSON(f"The key {_quote(key)} appears twice in one object.")
            seen.add(key)
    return result


def _parse_integer(text: str) -> int:
    value = exact_json.integer(text)
    if isinstance(value, float):
        raise BadJSON(f"The integer {_quote(text)} does not fit in 64 bits; send it as a string.")
    return value


def _parse_number(to_number: Callable[[str], float], text: str) -> float:
    value = to_number(text)
    if math.isinf(value):
        raise BadJSON(f"The number {_quote(text)} is larger than a double can hold; send it as a string.")
    if type(value) is ExactNumber and exact_json.decimal_places(value) > MAX_DECIMAL_PLACES:
        raise BadJSON(
            f"The number {_quote(text)} has over {MAX_DECIMAL_PLACES} digits behind the point; send it as a string."
        )
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise BadJSON(f"{text} is not a JSON value (RFC 8259, 6).")


def _check_size(value: Any) -> None:
    nodes = 0
    waiting = [value]
    while waiting:
        node = waiting.pop()
        nodes += 1
        if isinstance(node, dict):
            if len(node) > MAX_KEYS:
                raise BadJSON(f"An object has {len(node)} keys; at most {MAX_KEYS} are accepted.")
            for key in node:
                _check_length(key)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, str):
            _check_length(node)
        if nodes + len(waiting) > MAX_NODES:
            raise BadJSON(TOO_MANY_PARTS)


def _check_length(text: str) -> None:
    # A character takes at most four bytes, so most strings need not be encoded to be measured.
    if len(text) * 4 > MAX_STRING and len(text.encode()) > MAX_STRING:
        raise BadJSON(f"A string is longer than {MAX_STRING} bytes.")


def _all_strings(value: Any) -> list[str]:
    found: list[str] = []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, dict):
            found.extend(node)
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found


def _quote(text: str) -> str:
    return json.dumps(text if len(text) <= 40 else text[:40] + "…", ensure_ascii=False)
