"""Values that are listed one by one, or few enough to be: the real validator is asked about each."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, product
from typing import TYPE_CHECKING, Any

import orjson

from synapse.compatibility import (
    json_types,
    rules,
    scalars,
    validators,
)
from synapse.compatibility.findings import Finding, Findings
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover
    from synapse.compatibility.samples import Sampler

_MOST_INTEGERS = 64
_MOST_WAYS = 16
_MOST_SHOWN = 3


def all_of(prover: "Prover", shape: Shape) -> list[Any] | None:
    """Return all values of a shape (perhaps more than these), or `None` when they cannot be listed."""
    known: list[Any] | None = prover.listed.get(shape, _UNKNOWN)
    if known is _UNKNOWN:
        known = _list(prover, shape)
        prover.listed[shape] = known
    return known


_UNKNOWN: Any = object()


def _list(prover: "Prover", shape: Shape) -> list[Any] | None:
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
        found += [twin for twin in twins if json_types.kind_of(twin) & shape.types and shape.accepts(twin)]
    return found


def _few(shape: Shape) -> Iterable[Any] | None:
    """Return the values of a shape that lists none, when its types have few."""
    parts: list[Iterable[Any]] = []
    if shape.types & json_types.NULL:
        parts.append([None])
    if shape.types & json_types.BOOLEAN:
        parts.append([False, True])
    if shape.types & json_types.NUMBER:
        numbers = _few_numbers(shape)
        if numbers is None:
            return None
        parts.append(numbers)
    if shape.types & json_types.STRING:
        if shape.longest != 0:
            return None
        parts.append([""])
    if shape.types & json_types.ARRAY:
        if all(items.most != 0 for items in shape.items):
            return None
        parts.append([[]])
    if shape.types & json_types.OBJECT:
        if all(properties.most != 0 for properties in shape.properties):
            return None
        parts.append([{}])
    return chain.from_iterable(parts)


def _few_numbers(shape: Shape) -> Iterable[int | float] | None:
    if scalars.are_impossible(shape):
        return []
    lower, upper = shape.lower, shape.upper
    if lower is None or upper is None or not lower.is_exact or not upper.is_exact:
        return None
    if lower.value == upper.value:
        return [lower.value]
    first = scalars.first_multiple(shape, lower, is_lower=True)
    last = scalars.first_multiple(shape, upper, is_lower=False)
    if shape.types & json_types.FRACTION or shape.step is None or first is None or last is None:
        return None
    return range(int(first), int(last) + 1, int(shape.step)) if last - first < _MOST_INTEGERS * shape.step else None


def _twins(value: Any) -> Sequence[Any] | None:
    """Return the value with its numbers written in every way; draft 4 tells 1 from 1.0. `None`: too many ways."""
    if isinstance(value, list):
        return _all_ways(value, list)
    if isinstance(value, dict):
        return _all_ways(list(value.values()), lambda parts: dict(zip(value, parts, strict=True)))
    if json_types.kind_of(value) == json_types.WHOLE:
        return [value, int(value)]
    if json_types.kind_of(value) == json_types.INTEGER and abs(value) < 2**64 and int(float(value)) == value:
        return [value, float(value)]
    return [value]


def _all_ways(parts: list[Any], made: Callable[[Any], Any]) -> Sequence[Any] | None:
    ways = [_twins(part) for part in parts]
    known = [way for way in ways if way is not None]
    if len(known) < len(ways) or math.prod(map(len, known)) > _MOST_WAYS:
        return None
    return [made(way) for way in product(*known)]


def within(prover: "Prover", shape: Shape, allowed: Sequence[Any], reader: Node) -> Findings:
    """Return what keeps the reader from accepting each of these values."""
    refused = [value for value in allowed if not prover.shapes.accepts(reader, value)]
    if not refused:
        return []
    keyword = "" if reader.validator is None else validators.first_keyword(reader.validator, refused[0])
    rule = rules.VALUES_NARROWED if keyword != "false_schema" else rules.NOTHING_ACCEPTED
    if reader.facets.values is None and not json_types.kind_of(refused[0]) & reader.facets.types:
        names = json_types.names_of(json_types.mask_of_values(refused) & ~reader.facets.types)
        return [_found(rules.TYPE_NARROWED, shape, reader, refused, types=_enumerated(names))]
    return [_found(rule, shape, reader, refused, values=shown(refused))]


def listed(prover: "Prover", shape: Shape, reader: Node) -> Findings:
    """Return what is in the way of the values that a reader lists, for a shape whose values cannot be listed."""
    if reader.facets.values is None:
        return []

    def candidates(sampler: "Sampler") -> Iterator[Any]:
        return sampler.values(shape)

    facts = {"values": "other values"}
    return [Finding(rule=rules.VALUES_NARROWED, writer=shape.at, reader=reader.at, facts=facts, candidates=candidates)]


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


def _enumerated(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _found(rule: rules.Rule, shape: Shape, reader: Node, refused: Sequence[Any], **facts: object) -> Finding:
    return Finding(rule=rule, writer=shape.at, reader=reader.at, facts=facts, candidates=lambda _: iter(refused))
