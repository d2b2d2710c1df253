"""JSON with exact numbers, also numbers that neither 64 bits nor a double can hold.

A number with a point or an exponent is a double where a double is equal to it, as RFC 8259, 6 expects: where the
shortest text of the double has the value that was written. `1.10` is 1.1; the value is kept, not its notation. Any
other, such as 0.1234567890123456789, is an `ExactNumber`: a float in calculations, and the original text wherever it is
written again, compared, or checked against a contract.
"""

import json
import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Self, TypeGuard

import orjson

_INTEGER_LIMITS = (-(2**63), 2**64 - 1)
# A double keeps each number of 15 digits; with a point and without an exponent that is this many characters.
_ALWAYS_EXACT = 16
# The number of exact numbers in one value, and their digits in full, up to which they are compared digit by digit.
_MOST_COMPARED, _MOST_DIGITS = 32, 2_000
_ENDLESS = float("inf")


def _compared(compare: Callable[[Any, Any], bool]) -> Any:
    def method(self: "ExactNumber", other: object) -> bool:
        if isinstance(other, ExactNumber):
            other = other.decimal
        return compare(self.decimal, other) if isinstance(other, int | float | Decimal) else NotImplemented

    return method


class ExactNumber(float):
    """A number that no double holds, as JSON writes it: `text`. As a float it is the nearest double."""

    __slots__ = ("text",)
    text: str
    # Whether there ever was one in this process: hardly any publisher sends such a number, and none need be looked for.
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

    __eq__ = _compared(operator.eq)
    __ne__ = _compared(operator.ne)
    __lt__ = _compared(operator.lt)
    __le__ = _compared(operator.le)
    __gt__ = _compared(operator.gt)
    __ge__ = _compared(operator.ge)

    def __hash__(self) -> int:
        return hash(self.decimal)


def number(text: str) -> float:
    """Return the number that a JSON text with a point or an exponent writes: infinite when it is beyond a double."""
    found = float(text)
    if len(text) <= _ALWAYS_EXACT and "e" not in text and "E" not in text:
        return found
    try:
        return found if Decimal(text) == Decimal(repr(found)) else ExactNumber(text)
    except InvalidOperation:  # its exponent has twenty digits
        return found


def integer(text: str) -> int | float:
    """Return the integer that a JSON text writes."""
    low, high = _INTEGER_LIMITS
    # 20 digits and a sign are the longest that can fit; converting a million digits would take seconds.
    return value if len(text) <= 20 and low <= (value := int(text)) <= high else ExactNumber(text)


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text, read as leniently as orjson does.

    Raises:
        orjson.JSONDecodeError: when it is not JSON, or has a number beyond a double.
        orjson.JSONEncodeError: when it is nested deeper than can be written again.
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
    """Return a value with a decimal in place of each exact number, as the validator takes them; with the nearest double
    where they are so many, or so long, that comparing them digit by digit would take long."""
    if not ExactNumber.exist:
        return value
    try:
        orjson.dumps(value)
    except TypeError:
        found = _exact_numbers(value)
    else:
        return value
    few = len(found) <= _MOST_COMPARED and sum(map(_digits, found)) <= _MOST_DIGITS
    return _replaced(value, (lambda each: each.decimal) if few else (lambda each: float(each.text)))


def decimal_places(exact: ExactNumber) -> int:
    """Return how many digits the number has behind the point."""
    exponent = exact.decimal.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _digits(exact: ExactNumber) -> int:
    return decimal_places(exact) + max(0, exact.decimal.adjusted())


def _exact_numbers(value: Any) -> list[ExactNumber]:
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


def _replaced(value: Any, replace: Callable[[ExactNumber], object]) -> Any:
    if type(value) is ExactNumber:
        return replace(value)
    # Loops: a comprehension takes a second frame for each level, and events may be nested hundreds of levels deep.
    if isinstance(value, dict):
        members = {}
        for name, each in value.items():
            members[name] = _replaced(each, replace)
        return members
    if isinstance(value, list):
        items = []
        for each in value:
            items.append(_replaced(each, replace))  # noqa: PERF401
        return items
    return value


def is_number(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int | float]:
    """Say whether a value is a number from `least` to `most`. NaN is none, nor is a boolean, an integer to Python."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def is_integer(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int]:
    """Say whether a value is an integer from `least` to `most`, and written as one: 1.0 is none."""
    return isinstance(value, int) and is_number(value, least, most)
