"""Compare constraints on numbers, strings and listed values.

A bound between two multiples of the writer's step (1 for integers) is the same as the next multiple. A pattern of the
reader is proven in two cases: the writer has the identical pattern, or both repeat one class of characters from end to
end (`^[0-9]{3}$`, `^[0-9]+$`). Values that are listed, or few enough to list, are checked by the real validator.
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
    if facets.lower is not None and not _implies_bound(shape, shape.lower, facets.lower, is_lower=True):
        found.append(_bound_finding(Rule.MINIMUM_RAISED, shape, reader, shape.lower, facets.lower))
    if facets.upper is not None and not _implies_bound(shape, shape.upper, facets.upper, is_lower=False):
        found.append(_bound_finding(Rule.MAXIMUM_LOWERED, shape, reader, shape.upper, facets.upper))
    for multiple in facets.multiples:
        if shape.step is None or (shape.step / multiple).denominator != 1:
            value = number_text(multiple)
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

    `None` when the shape has no step, and for bounds beyond the range in which doubles represent all integers.
    """
    if shape.step is None or abs(bound.value) >= _EXACT:
        return None
    times = schema_model.exact_fraction(bound.value) / shape.step
    nearest = math.ceil(times) if is_lower else math.floor(times)
    if bound.is_exclusive and nearest == times:
        nearest += 1 if is_lower else -1
    return nearest * shape.step


def _implies_bound(shape: Shape, own: Bound | None, wanted: Bound, *, is_lower: bool) -> bool:
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


def _bound_finding(rule: Rule, shape: Shape, reader: Node, own: Bound | None, wanted: Bound) -> Finding:
    facts = {
        "reader_bound": describe_bound(wanted),
        "writer_bound": f" ({describe_bound(own)})" if own else "",
    }
    return Finding.of(rule, shape, reader, lambda sampler: sampler.numbers(shape, near=wanted.value), **facts)


def describe_bound(bound: Bound) -> str:
    """Describe a bound: "from 1", "below 5"."""
    word = bound.keyword
    if bound.is_exclusive and not word.startswith("exclusive"):
        word = "exclusive" + word.capitalize()
    return f"{_SIGNS[word]} {bound.value}"


def number_text(number: Fraction) -> str:
    """Return a number in the notation of a schema."""
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
        found.append(_string_finding(Rule.MIN_LENGTH_RAISED, shape, reader, length=facets.shortest - 1, **facts))
    if facets.longest is not None and (shape.longest is None or shape.longest > facets.longest):
        facts = {"value": facets.longest, "change": raise_limit_fix("maxLength", shape.longest)}
        found.append(_string_finding(Rule.MAX_LENGTH_LOWERED, shape, reader, length=facets.longest + 1, **facts))
    for pattern in facets.patterns:
        if pattern not in shape.patterns and not any(_is_implied(own, pattern) for own in shape.patterns):
            found.append(_string_finding(Rule.PATTERN_ADDED, shape, reader, value=pattern))
    for token in facets.formats:
        if token not in shape.formats:
            rule = Rule.CONTENT_ADDED if token.startswith("content ") else Rule.FORMAT_ADDED
            found.append(
                _string_finding(rule, shape, reader, value=validators.name_of(token).removeprefix("content ").strip())
            )
    return found


def _is_implied(own: str, wanted: str) -> bool:
    """Say whether both patterns repeat one character class, the first no less and no more often than the second
    permits.
    """
    first, second = _REPEATED.match(own), _REPEATED.match(wanted)
    if first is None or second is None or _class_of(first) != _class_of(second):
        return False
    (least, most), (wanted_least, wanted_most) = _repetition_of(first), _repetition_of(second)
    return least >= wanted_least and most <= wanted_most


def _class_of(match: re.Match[str]) -> str:
    return "[0-9]" if match["class"] == r"\d" else match["class"]


def _repetition_of(match: re.Match[str]) -> tuple[float, float]:
    times = match["times"] or "{1}"
    if times in _TIMES:
        return _TIMES[times]
    least, comma, most = times[1:-1].partition(",")
    return int(least), int(most) if most else math.inf if comma else int(least)


def raise_limit_fix(keyword: str, limit: int | None) -> str:
    """Return the fix for a limit that has to grow: "Raise “maxLength” to 9"."""
    return f"Remove “{keyword}”" if limit is None else f"Raise “{keyword}” to {limit}"


def _string_finding(rule: Rule, shape: Shape, reader: Node, *, length: int | None = None, **facts: Any) -> Finding:
    return Finding.of(rule, shape, reader, lambda sampler: sampler.strings(shape, near=length), **facts)


_MOST_INTEGERS = 64
_MOST_WAYS = 16
_MOST_SHOWN = 3


def all_of(prover: ProverLike, shape: Shape) -> list[Any] | None:
    """Return a list that includes all values of a shape, or `None` when they cannot be listed."""
    known: list[Any] | None = prover.listed.get(shape, _UNKNOWN)
    if known is _UNKNOWN:
        known = _list_values(prover, shape)
        prover.listed[shape] = known
    return known


_UNKNOWN: Any = object()


def _list_values(prover: ProverLike, shape: Shape) -> list[Any] | None:
    if shape.values is not None:
        candidates: Iterable[Any] | None = shape.values
    else:
        candidates = _list_by_types(shape)
    if candidates is None:
        return None
    found = []
    for value in candidates:
        prover.budget.spend()
        twins = _all_notations(value) if prover.tells_integers else (value,)
        if twins is None:
            return None
        found += [twin for twin in twins if keywords.kind_of(twin) & shape.types and shape.accepts(twin)]
    return found


def _list_by_types(shape: Shape) -> Iterable[Any] | None:
    """Return the values of a shape without listed values, if its types have only few; otherwise `None`."""
    parts: list[Iterable[Any]] = []
    if shape.types & keywords.NULL:
        parts.append([None])
    if shape.types & keywords.BOOLEAN:
        parts.append([False, True])
    if shape.types & keywords.NUMBER:
        numbers = _list_numbers(shape)
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


def _list_numbers(shape: Shape) -> Iterable[int | float] | None:
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


def _all_notations(value: Any) -> Sequence[Any] | None:
    """Return the value in all notations of its numbers, because draft 4 distinguishes 1 from 1.0. `None`: there are too
    many.
    """
    if isinstance(value, list):
        return _combine_notations(value, list)
    if isinstance(value, dict):
        return _combine_notations(list(value.values()), lambda parts: dict(zip(value, parts, strict=True)))
    if keywords.kind_of(value) == keywords.WHOLE:
        return [value, int(value)]
    if keywords.kind_of(value) == keywords.INTEGER and abs(value) < 2**64 and int(float(value)) == value:
        return [value, float(value)]
    return [value]


def _combine_notations(parts: list[Any], made: Callable[[Any], Any]) -> Sequence[Any] | None:
    ways = [_all_notations(part) for part in parts]
    known = [way for way in ways if way is not None]
    if len(known) < len(ways) or math.prod(map(len, known)) > _MOST_WAYS:
        return None
    return [made(way) for way in product(*known)]


def value_findings(prover: ProverLike, shape: Shape, allowed: Sequence[Any], reader: Node) -> Findings:
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
    return [Finding.of(rule, shape, reader, lambda _: iter(refused), values=join_values(refused))]


def value_list_findings(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return a finding when the reader lists its values and the values of the shape cannot be listed."""
    if reader.facets.values is None:
        return []
    return [
        Finding.of(Rule.VALUES_NARROWED, shape, reader, lambda sampler: sampler.values(shape), values="other values")
    ]


def join_values(values: Sequence[Any]) -> str:
    """Return some values as JSON, for people."""
    texts = [_json_text(value) for value in values[:_MOST_SHOWN]]
    return ", ".join(texts) + (f" and {len(values) - _MOST_SHOWN} more" if len(values) > _MOST_SHOWN else "")


def _json_text(value: Any) -> str:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
