"""Ways to cut a shape into cases, so that each case can fit another alternative of the reader."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from contracts.compatibility import types, values
from contracts.compatibility.nodes import Node
from contracts.compatibility.shapes import Shape
from contracts.compatibility.written_object import nodes_at

if TYPE_CHECKING:
    from contracts.compatibility.prover import Prover

_MOST_CUTS = 12
_MOST_VALUES = 64


def ways(prover: "Prover", shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    """Return ways to cut the shape into cases that together are no smaller, the cheapest first."""
    present = [mask for mask in types.EACH if shape.types & mask]
    if len(present) > 1:
        yield [shape.also(Node.made({"type": types.names_of(mask)})) for mask in present]
        return
    if shape.types & types.FRACTION and shape.types & ~types.FRACTION:
        yield [shape.also(Node.made({"multipleOf": 1})), shape.also(never=[Node.made({"multipleOf": 1})])]
    for choice in shape.choices:
        yield shape.cases(choice)
    if shape.types & types.NUMBER:
        yield from _by_bounds(shape, alternatives)
    if shape.types & types.OBJECT:
        yield from _by_properties(prover, shape, alternatives)


def _by_bounds(shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    facets = [node.facets for node in _parts(alternatives)]
    ends = {bound.value for it in facets for bound in (it.lower, it.upper) if bound is not None and bound.is_exact}
    for end in sorted(ends)[:_MOST_CUTS]:
        made = ({"exclusiveMaximum": end}, {"minimum": end, "maximum": end}, {"exclusiveMinimum": end})
        yield [shape.also(Node.made(schema)) for schema in made]


def _by_properties(prover: "Prover", shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    """By the value of a property that alternatives speak of, and by whether it is there."""
    required = {name for properties in shape.properties for name in properties.required}
    for name in sorted(_names_in(alternatives))[:_MOST_CUTS]:
        prover.budget.spend()
        if name not in required:
            having, lacking = {"type": "object", "required": [name]}, {"properties": {name: False}}
            yield [shape.also(Node.made(having)), shape.also(Node.made(lacking))]
            continue
        part = prover.shape(node for layer in shape.properties for node in nodes_at(layer, name))
        allowed = values.all_of(prover, part)
        if allowed is not None and 1 < len(allowed) <= _MOST_VALUES:
            yield [shape.also(Node.made({"properties": {name: {"enum": [value]}}})) for value in allowed]
        elif allowed is None and sum(1 for mask in types.EACH if part.types & mask) > 1:
            kinds = [mask for mask in types.EACH if part.types & mask]
            yield [shape.also(Node.made({"properties": {name: {"type": types.names_of(mask)}}})) for mask in kinds]


def _names_in(alternatives: Sequence[Node]) -> set[str]:
    names: set[str] = set()
    for node in _parts(alternatives):
        if node.facets.properties is not None:
            names.update(node.facets.properties.named, node.facets.properties.required)
    return names


def _parts(alternatives: Iterable[Node]) -> Iterator[Node]:
    """Return the alternatives, and what they consist of in the same place."""
    seen: dict[Node, None] = {}
    waiting = list(alternatives)
    while waiting and len(seen) < 200:
        node = waiting.pop()
        if node not in seen:
            seen[node] = None
            facets = node.facets
            waiting += facets.conjuncts + facets.nots
            waiting += [member for group in facets.groups for member in group.members]
            waiting += [condition.when for condition in facets.conditions]
    return iter(seen)
