"""Numbers and strings at the edges of a shape."""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from synapse.compatibility import formats, json_types
from synapse.compatibility.pattern_samples import texts
from synapse.compatibility.shape import Shape

_LONGEST = 20_000
_WORDS = ("a", "", "abc", "A b-1", "0", "ä", "1a")
_HUGE = 1e300


def numbers_of(shape: Shape, near: float | None = None) -> Iterator[int | float]:
    """Return numbers that are probably of the shape."""
    ends = [bound.value for bound in (shape.lower, shape.upper) if bound is not None]
    asked = [*([near] if near is not None else []), *ends, 0, 1]
    centers = [center for center in asked if abs(center) <= _HUGE]
    seen: set[tuple[type, float]] = set()
    for number in _around(centers, shape):
        kind = json_types.kind_of(number)
        if kind & json_types.WHOLE and shape.types & json_types.INTEGER and abs(number) < 2**63:
            number = int(number)  # noqa: PLW2901
        if json_types.kind_of(number) & shape.types and (type(number), number) not in seen:
            seen.add((type(number), number))
            yield number
    if shape.types & json_types.WHOLE:
        yield from (float(center) for center in centers if abs(center) < 2**53 and float(center).is_integer())


def _around(centers: list[float], shape: Shape) -> Iterator[int | float]:
    step = shape.step if shape.types & json_types.FRACTION or shape.step != 1 else None
    for center in centers:
        if step is not None:
            start = math.floor(Fraction(center) / step) * step
            for times in (0, 1, -1, 2, 3, -3):
                number = start + times * step
                yield int(number) if number.denominator == 1 else float(number)
            continue
        yield center
        for distance in (1, 0.5, 0.25, 0.1, 0.001, 3):
            yield center - distance
            yield center + distance
    if step is None:
        yield from (_HUGE, -_HUGE, 0.1, 7)


def strings_of(shape: Shape, near: int | None = None) -> Iterator[str]:
    """Return strings that are probably of the shape."""
    lengths = [near, shape.shortest, shape.longest, shape.shortest + 1]
    wanted = [length for length in dict.fromkeys(lengths) if length is not None and 0 <= length <= _LONGEST]
    if shape.formats:
        for token in shape.formats:
            yield from formats.EXAMPLES.get(formats.name_of(token), _contents(token))
        return
    for pattern in shape.patterns:
        for text in texts(pattern):
            yield text
            # A pattern without an end, or with a repeat at its end, takes more of the same.
            yield from (text + (text[-1:] or "a") * (length - len(text)) for length in wanted if length > len(text))
            yield from ("a" * (length - len(text)) + text for length in wanted if length > len(text))
    for length, character in product(wanted, "a0 "):
        yield character * length
    yield from _WORDS


def _contents(token: str) -> tuple[str, ...]:
    if "base64" in token:
        return ("MQ==", "")
    return ("1", "{}") if "json" in token else ()
