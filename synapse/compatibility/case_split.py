"""Ways to cut a shape into cases, so that each case can fit another alternative of the reader."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from synapse.compatibility import finite_values, json_types
from synapse.compatibility.asserted_objects import nodes_at
from synapse.compatibility.discriminators import (
    Key,
    Path,
    Tags,
    values_of,
)
from synapse.compatibility.facets import Group
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover

_MOST_ANYWAY = 2
_MOST_CUTS = 12
_MOST_VALUES = 64


def by_discriminator(prover: "Prover", shape: Shape, alternatives: Sequence[Node]) -> list[Shape] | None:
    """Return the shape in cases each of which fewer of the alternatives may fit, as their constants tell.

    `None` when no constant tells them apart.
    """
    if len(alternatives) < _MOST_ANYWAY:
        return None
    for path, keys in shape.tags.choices():
        by_alternatives: dict[tuple[Node, ...], set[Key]] = {}
        tags = [(node, prover.shapes.discriminators.tags_of(node).at(path)) for node in alternatives]
        for key in sorted(keys, key=str):
            prover.budget.spend(1 + len(tags) // 10)
            one = Tags(values=frozenset([key]))
            fitting = tuple(node for node, its in tags if not one.contradict(its))
            by_alternatives.setdefault(fitting, set()).add(key)
        if all(len(fitting) < len(alternatives) for fitting in by_alternatives):
            return [shape.also(Node.made(_with_values(path, keys))) for keys in by_alternatives.values()]
    for choice in shape.choices:
        if isinstance(choice, Group) and all(
            len(prover.shapes.possible(prover.shapes.discriminators.tags_of(member), alternatives)) < len(alternatives)
            for member in choice.members
        ):
            return list(shape.cases(choice))
    return None


def _with_values(path: Path, keys: Iterable[Key]) -> dict[str, Any]:
    """Return the schema that lists values for a part."""
    schema: dict[str, Any] = {"enum": values_of(keys)}
    for name in reversed(path):
        schema = {"type": "object", "properties": {name: schema}, "required": [name]}
    return schema


def ways(prover: "Prover", shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    """Return ways to cut the shape into cases that together are no smaller, the cheapest first."""
    present = [mask for mask in json_types.EACH if shape.types & mask]
    if len(present) > 1:
        yield [shape.also(Node.made({"type": json_types.names_of(mask)})) for mask in present]
        return
    if shape.types & json_types.FRACTION and shape.types & ~json_types.FRACTION:
        yield [shape.also(Node.made({"multipleOf": 1})), shape.also(never=[Node.made({"multipleOf": 1})])]
    for choice in shape.choices:
        yield list(shape.cases(choice))
    if shape.types & json_types.NUMBER:
        yield from _by_bounds(shape, alternatives)
    if shape.types & json_types.OBJECT:
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
        allowed = finite_values.all_of(prover, part)
        if allowed is not None and 1 < len(allowed) <= _MOST_VALUES:
            yield [shape.also(Node.made({"properties": {name: {"enum": [value]}}})) for value in allowed]
        elif allowed is None and sum(1 for mask in json_types.EACH if part.types & mask) > 1:
            kinds = [mask for mask in json_types.EACH if part.types & mask]
            yield [shape.also(Node.made({"properties": {name: {"type": json_types.names_of(mask)}}})) for mask in kinds]


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
