"""Compare constraints on numbers, strings and listed values.

A bound between two multiples of the writer's step (1 for integers) means the next multiple. Two things are proof for
patterns: the writer has the identical pattern, or both repeat one class of characters from end to end (`^[0-9]{3}$`,
`^[0-9]+$`). Values that are listed, or few enough to list, are put to the real validator one by one.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import chain, product
from typing import Any

import orjson

from synapse.compatibility import keywords, schema_model, validators
from synapse.compatibility.findings import Finding, Findings, ProverLike
from synapse.compatibility.rules import Rule
from synapse.compatibility.schema_model import Bound, Node
from synapse.compatibility.shape import Shape

_EXACT = 2**53
_SIGNS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}


def numbers_within(shape: Shape, reader: Node) -> Findings:
    """Return the findings that keep the reader from accepting all numbers of the shape."""
    facets = reader.facets
    found: Findings = []
    if facets.lower is not None and not _implies(shape, shape.lower, facets.lower, is_lower=True):
        found.append(_bound(Rule.MINIMUM_RAISED, shape, reader, shape.lower, facets.lower))
    if facets.upper is not None and not _implies(shape, shape.upper, facets.upper, is_lower=False):
        found.append(_bound(Rule.MAXIMUM_LOWERED, shape, reader, shape.upper, facets.upper))
    for multiple in facets.multiples:
        if shape.step is None or (shape.step / multiple).denominator != 1:
            value = written(multiple)
            found.append(
                Finding.of(
                    Rule.MULTIPLE_OF_NARROWED, shape, reader, lambda sampler: sampler.numbers(shape), value=value
                )
            )
    return found


def are_impossible(shape: Shape) -> bool:
    """Say whether no number can be of the shape."""
    lower, upper = shape.lower, shape.upper
    if lower is None or upper is None or not lower.is_exact or not upper.is_exact:
        return False
    if lower.value > upper.value or (lower.value == upper.value and (lower.is_exclusive or upper.is_exclusive)):
        return True
    first, last = first_multiple(shape, lower, is_lower=True), first_multiple(shape, upper, is_lower=False)
    return first is not None and last is not None and first > last


def first_multiple(shape: Shape, bound: Bound, *, is_lower: bool) -> Fraction | None:
    """Return the multiple of the shape's step that is nearest to a bound, on the side that it allows.

    `None` when the shape's numbers have no step, and for a bound so far away that doubles leave integers out.
    """
    if shape.step is None or abs(bound.value) >= _EXACT:
        return None
    times = schema_model.fraction(bound.value) / shape.step
    nearest = math.ceil(times) if is_lower else math.floor(times)
    if bound.is_exclusive and nearest == times:
        nearest += 1 if is_lower else -1
    return nearest * shape.step


def _implies(shape: Shape, own: Bound | None, wanted: Bound, *, is_lower: bool) -> bool:
    if own is None:
        return False
    if _is_within(own, wanted, is_lower=is_lower):
        return True
    first = first_multiple(shape, own, is_lower=is_lower)
    wanted_first = first_multiple(shape, wanted, is_lower=is_lower)
    if first is None or wanted_first is None:
        return False
    return first >= wanted_first if is_lower else first <= wanted_first


def _is_within(own: Bound, wanted: Bound, *, is_lower: bool) -> bool:
    if not own.is_exact or not wanted.is_exact:
        return own == wanted
    if own.value == wanted.value:
        return own.is_exclusive or not wanted.is_exclusive
    return own.value > wanted.value if is_lower else own.value < wanted.value


def _bound(rule: Rule, shape: Shape, reader: Node, own: Bound | None, wanted: Bound) -> Finding:
    facts = {
        "reader_bound": described(wanted),
        "writer_bound": f" ({described(own)})" if own else "",
    }
    return Finding.of(rule, shape, reader, lambda sampler: sampler.numbers(shape, near=wanted.value), **facts)


def described(bound: Bound) -> str:
    """Return a bound in words: "from 1", "below 5"."""
    word = bound.keyword
    if bound.is_exclusive and not word.startswith("exclusive"):
        word = "exclusive" + word.capitalize()
    return f"{_SIGNS[word]} {bound.value}"


def written(number: Fraction) -> str:
    """Return a number as a schema would have it."""
    return str(number.numerator) if number.denominator == 1 else repr(float(number))


_REPEATED = re.compile(
    r"\^(?P<class>\[[^\[\]\\^]+\]|\\d|[A-Za-z0-9])(?P<times>[*+?]|\{[0-9]{1,6}(,[0-9]{0,6})?\})?\$\Z"
)
_TIMES = {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}


def strings_within(shape: Shape, reader: Node) -> Findings:
    """Return the findings that keep the reader from accepting all strings of the shape."""
    facets = reader.facets
    found: Findings = []
    if shape.shortest < facets.shortest:
        facts: dict[str, Any] = {"value": facets.shortest, "other": shape.shortest}
        found.append(_found(Rule.MIN_LENGTH_RAISED, shape, reader, length=facets.shortest - 1, **facts))
    if facets.longest is not None and (shape.longest is None or shape.longest > facets.longest):
        facts = {"value": facets.longest, "change": raised("maxLength", shape.longest)}
        found.append(_found(Rule.MAX_LENGTH_LOWERED, shape, reader, length=facets.longest + 1, **facts))
    for pattern in facets.patterns:
        if pattern not in shape.patterns and not any(_is_implied(own, pattern) for own in shape.patterns):
            found.append(_found(Rule.PATTERN_ADDED, shape, reader, value=pattern))
    for token in facets.formats:
        if token not in shape.formats:
            rule = Rule.CONTENT_ADDED if token.startswith("content ") else Rule.FORMAT_ADDED
            found.append(_found(rule, shape, reader, value=validators.name_of(token).removeprefix("content ").strip()))
    return found


def _is_implied(own: str, wanted: str) -> bool:
    """Say whether a repeated character class is repeated as often as another pattern requires."""
    first, second = _REPEATED.match(own), _REPEATED.match(wanted)
    if first is None or second is None or _class_of(first) != _class_of(second):
        return False
    (least, most), (wanted_least, wanted_most) = _times(first), _times(second)
    return least >= wanted_least and most <= wanted_most


def _class_of(match: re.Match[str]) -> str:
    return "[0-9]" if match["class"] == r"\d" else match["class"]


def _times(match: re.Match[str]) -> tuple[float, float]:
    times = match["times"] or "{1}"
    if times in _TIMES:
        return _TIMES[times]
    least, comma, most = times[1:-1].partition(",")
    return int(least), int(most) if most else math.inf if comma else int(least)


def raised(keyword: str, limit: int | None) -> str:
    """Return the fix for a limit that has to grow: "Raise “maxLength” to 9"."""
    return f"Remove “{keyword}”" if limit is None else f"Raise “{keyword}” to {limit}"


def _found(rule: Rule, shape: Shape, reader: Node, *, length: int | None = None, **facts: Any) -> Finding:
    return Finding.of(rule, shape, reader, lambda sampler: sampler.strings(shape, near=length), **facts)


_MOST_INTEGERS = 64
_MOST_WAYS = 16
_MOST_SHOWN = 3


def all_of(prover: ProverLike, shape: Shape) -> list[Any] | None:
    """Return all values of a shape (perhaps more than these), or `None` when they cannot be listed."""
    known: list[Any] | None = prover.listed.get(shape, _UNKNOWN)
    if known is _UNKNOWN:
        known = _list(prover, shape)
        prover.listed[shape] = known
    return known


_UNKNOWN: Any = object()


def _list(prover: ProverLike, shape: Shape) -> list[Any] | None:
    if shape.values is not None:
        candidates: Iterable[Any] | None = shape.values
    else:
        candidates = _few(shape)
    if candidates is None:
        return None
    found = []
    for value in candidates:
        prover.budget.spend()
        twins = _twins(value) if prover.tells_integers else (value,)
        if twins is None:
            return None
        found += [twin for twin in twins if keywords.kind_of(twin) & shape.types and shape.accepts(twin)]
    return found


def _few(shape: Shape) -> Iterable[Any] | None:
    """Return the values of a shape that lists none, when its types have few."""
    parts: list[Iterable[Any]] = []
    if shape.types & keywords.NULL:
        parts.append([None])
    if shape.types & keywords.BOOLEAN:
        parts.append([False, True])
    if shape.types & keywords.NUMBER:
        numbers = _few_numbers(shape)
        if numbers is None:
            return None
        parts.append(numbers)
    if shape.types & keywords.STRING:
        if shape.longest != 0:
            return None
        parts.append([""])
    if shape.types & keywords.ARRAY:
        if all(items.most != 0 for items in shape.items):
            return None
        parts.append([[]])
    if shape.types & keywords.OBJECT:
        if all(properties.most != 0 for properties in shape.properties):
            return None
        parts.append([{}])
    return chain.from_iterable(parts)


def _few_numbers(shape: Shape) -> Iterable[int | float] | None:
    if are_impossible(shape):
        return []
    lower, upper = shape.lower, shape.upper
    if lower is None or upper is None or not lower.is_exact or not upper.is_exact:
        return None
    if lower.value == upper.value:
        return [lower.value]
    first = first_multiple(shape, lower, is_lower=True)
    last = first_multiple(shape, upper, is_lower=False)
    if shape.types & keywords.FRACTION or shape.step is None or first is None or last is None:
        return None
    return range(int(first), int(last) + 1, int(shape.step)) if last - first < _MOST_INTEGERS * shape.step else None


def _twins(value: Any) -> Sequence[Any] | None:
    """Return the value with its numbers written in every way; draft 4 tells 1 from 1.0. `None`: too many ways."""
    if isinstance(value, list):
        return _all_ways(value, list)
    if isinstance(value, dict):
        return _all_ways(list(value.values()), lambda parts: dict(zip(value, parts, strict=True)))
    if keywords.kind_of(value) == keywords.WHOLE:
        return [value, int(value)]
    if keywords.kind_of(value) == keywords.INTEGER and abs(value) < 2**64 and int(float(value)) == value:
        return [value, float(value)]
    return [value]


def _all_ways(parts: list[Any], made: Callable[[Any], Any]) -> Sequence[Any] | None:
    ways = [_twins(part) for part in parts]
    known = [way for way in ways if way is not None]
    if len(known) < len(ways) or math.prod(map(len, known)) > _MOST_WAYS:
        return None
    return [made(way) for way in product(*known)]


def listed_within(prover: ProverLike, shape: Shape, allowed: Sequence[Any], reader: Node) -> Findings:
    """Return the findings that keep the reader from accepting each of these values."""
    refused = [value for value in allowed if not prover.shapes.accepts(reader, value)]
    if not refused:
        return []
    keyword = "" if reader.validator is None else validators.first_keyword(reader.validator, refused[0])
    rule = Rule.VALUES_NARROWED if keyword != "false_schema" else Rule.NOTHING_ACCEPTED
    if reader.facets.values is None and not keywords.kind_of(refused[0]) & reader.facets.types:
        names = keywords.names_of(keywords.mask_of_values(refused) & ~reader.facets.types)
        types = ", ".join(f"“{name}”" for name in names)
        return [Finding.of(Rule.TYPE_NARROWED, shape, reader, lambda _: iter(refused), types=types)]
    return [Finding.of(rule, shape, reader, lambda _: iter(refused), values=shown(refused))]


def listed(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return a finding when the reader lists its values and the values of the shape cannot be listed."""
    if reader.facets.values is None:
        return []
    return [
        Finding.of(Rule.VALUES_NARROWED, shape, reader, lambda sampler: sampler.values(shape), values="other values")
    ]


def shown(values: Sequence[Any]) -> str:
    """Return some values as JSON, for people."""
    texts = [_text(value) for value in values[:_MOST_SHOWN]]
    return ", ".join(texts) + (f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else "")


def _text(value: Any) -> str:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
