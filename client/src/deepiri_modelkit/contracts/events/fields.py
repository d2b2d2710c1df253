"""The types of values in events, each as strict as its JSON Schema.

Pydantic's own types are more lenient than a contract (they accept "45" and True as a number) and change values (45
becomes 45.0). These types accept what the contract accepts, and keep the value.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, Strict, ValidatorFunctionWrapHandler, WrapValidator

# ISO 8601 in the form of the contracts: a date, a time, up to nine digits of a second, and an optional offset.
_TIMESTAMP = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]{1,9})?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)


def _check_unchanged(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    check(value)
    return value


def _to_integer(value: Any) -> Any:
    # In JSON Schema, 3.0 is an integer, and some languages write integers only like that.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _to_iso(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    # On this platform, a time without an offset is UTC.
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _keep(value: Any) -> Any:
    return value


_KEPT = (WrapValidator(_check_unchanged), PlainSerializer(_keep, return_type=Any))

Number = Annotated[float, Strict(), Field(allow_inf_nan=False), *_KEPT]
PositiveNumber = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False), *_KEPT]
"""A number from 0 up; 0 is one of them."""
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False), *_KEPT]
"""A number from 0 to 1."""
Count = Annotated[int, Strict(), Field(ge=0), BeforeValidator(_to_integer)]
Flag = Annotated[bool, Strict()]
JsonObject = dict[str, Any]

Identifier = Annotated[str, Strict(), Field(min_length=1, max_length=200)]
"""A name or an identifier, 1 to 200 characters."""
ShortText = Annotated[str, Strict(), Field(min_length=1, max_length=100)]
"""A version or a state, 1 to 100 characters."""
Word = Annotated[str, Strict(), Field(min_length=1, max_length=50)]
"""One word of a scale, 1 to 50 characters."""
Location = Annotated[str, Strict(), Field(min_length=1, max_length=2000)]
"""A path or a URI, 1 to 2,000 characters."""
Reason = Annotated[str, Strict(), Field(max_length=2000)]
"""A sentence for people."""
Prose = Annotated[str, Strict(), Field(max_length=20000)]
"""An explanation for people, such as an error message."""
Timestamp = Annotated[str, Strict(), Field(pattern=_TIMESTAMP), BeforeValidator(_to_iso)]
"""ISO 8601 text; without an offset it is UTC. A `datetime` is accepted and becomes such text, in UTC."""
