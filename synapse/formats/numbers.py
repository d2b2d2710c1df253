"""Tell JSON's numbers from its booleans, which are integers to Python."""

from typing import Any, TypeGuard

_ENDLESS = float("inf")


def is_number(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int | float]:
    """Say whether a value is a number from `least` to `most`. NaN is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def is_integer(value: Any, least: float = -_ENDLESS, most: float = _ENDLESS) -> TypeGuard[int]:
    """Say whether a value is an integer from `least` to `most`, and written as one: 1.0 is none."""
    return isinstance(value, int) and is_number(value, least, most)
