"""JSON with exact numbers, also numbers that neither 64 bits nor a double can hold.

A number with a point or an exponent becomes a double if a double is equal to it, as RFC 8259, 6 expects: if the
shortest text of the double has the same value. The value is kept, not the notation: `1.10` becomes 1.1. Other numbers,
such as 0.1234567890123456789, become an `ExactNumber`: a float in calculations, but the original text when it is
serialized, compared, or checked against a contract.
"""

import json
import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Self, TypeGuard

import orjson

_INTEGER_LIMITS = (-(2**63), 2**64 - 1)
# A double holds each number of 15 digits exactly: with a point and without an exponent, this many characters.
_ALWAYS_EXACT = 16
# The limits up to which exact numbers are compared digit by digit: their number in one value, and their digits.
_MOST_COMPARED, _MOST_DIGITS = 32, 2_000
_ENDLESS = float("inf")


def _comparison(compare: Callable[[Any, Any], bool]) -> Any:
    def method(self: "ExactNumber", other: object) -> bool:
        if isinstance(other, ExactNumber):
            other = other.decimal
        return compare(self.decimal, other) if isinstance(other, int | float | Decimal) else NotImplemented

    return method


class ExactNumber(float):
    """A number that no double holds exactly. `text` is its JSON; as a float, it is the nearest double."""

    __slots__ = ("text",)
    text: str
    # Whether any was created in this process. Hardly any publisher sends one, so values need not be searched until
    # then.
    exist: ClassVar[bool] = False

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        ExactNumber.exist = True
        return number

    @property
    def decimal(self) -> Decimal:
        """The number itself."""
        return Decimal(self.text)

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.text,)

    def __repr__(self) -> str:
        return self.text

    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)

    def __hash__(self) -> int:
        return hash(self.decimal)


def number(text: str) -> float:
    """Parse a JSON number with a point or an exponent; infinite when it is beyond a double."""
    found = float(text)
    if len(text) <= _ALWAYS_EXACT and "e" not in text and "E" not in text:
        return found
    try:
        return found if Decimal(text) == Decimal(repr(found)) else ExactNumber(text)
    except InvalidOperation:  # its exponent has twenty digits
        return found


def integer(text: str) -> int | float:
    """Parse a JSON integer; one that 64 bits cannot hold becomes an `ExactNumber`."""
    low, high = _INTEGER_LIMITS
    # 20 digits and a sign are the longest that can fit; converting a million digits would take seconds.
    return value if len(text) <= 20 and low <= (value := int(text)) <= high else ExactNumber(text)


def loads(text: str | bytes) -> Any:
    """Parse JSON, as leniently as orjson.

    Raises:
        orjson.JSONDecodeError: when it is not JSON, or has a number beyond a double.
        orjson.JSONEncodeError: when it is nested more deeply than can be serialized.
    """
    value = orjson.loads(text)
    if orjson.dumps(value) == (text.encode() if isinstance(text, str) else text):
        return value
    return json.loads(text, parse_float=number, parse_int=integer)


def dumps(value: Any, *, option: int = 0) -> bytes:
    """Return a value as JSON.

    Raises:
        orjson.JSONEncodeError: when it cannot be written, for example because it is nested too deeply.
    """
    return orjson.dumps(value, default=written, option=option)


def written(value: object) -> orjson.Fragment:
    """Serialize a value that orjson cannot serialize by itself: its `default`."""
    if isinstance(value, ExactNumber):
        return orjson.Fragment(value.text)
    raise TypeError


def with_plain_numbers(value: Any) -> Any:
    """Return a value with each exact number as a `Decimal`, for the validator; as the nearest double if they are so
    many or so long that comparing them digit by digit would take long.
    """
    if not ExactNumber.exist:
        return value
    try:
        orjson.dumps(value)
    except TypeError:
        found = _find_exact_numbers(value)
    else:
        return value
    few = len(found) <= _MOST_COMPARED and sum(map(_count_digits, found)) <= _MOST_DIGITS
    return _replace_exact(value, (lambda each: each.decimal) if few else (lambda each: float(each.text)))


def decimal_places(exact: ExactNumber) -> int:
    """Return the number of digits behind the point."""
    exponent = exact.decimal.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _count_digits(exact: ExactNumber) -> int:
    return decimal_places(exact) + max(0, exact.decimal.adjusted())


def _find_exact_numbers(value: Any) -> list[ExactNumber]:
    found: list[ExactNumber] = []
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
        elif type(node) is ExactNumber:
            found.append(node)
    return found


def _replace_exact(value: Any, replace: Callable[[ExactNumber], object]) -> Any:
    if type(value) is ExactNumber:
        return replace(value)
    # Loops, because a comprehension needs a second stack frame for each level, and events may have hundreds of levels.
    if isinstance(value, dict):
        members = {}
        for name, each in value.items():
            members[name] = _replace_exact(each, replace)
        return members
    if isinstance(value, list):
        items = []
        for each in value:
            items.append(_replace_exact(each, replace))  # noqa: PERF401
        return items
    return value


def is_number(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int | float]:
    """Say whether a value is a number from `least` to `most`. NaN and booleans (integers in Python) are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def is_integer(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int]:
    """Say whether a value is an integer from `least` to `most`. 1.0 is not an integer."""
    return isinstance(value, int) and is_number(value, least, most)
