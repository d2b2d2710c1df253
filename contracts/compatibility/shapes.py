"""What is known about a written value: schemas that accept it, and schemas that do not.

A shape is a conjunction. It merges the facets of its schemas, following `allOf` and `$ref`, so that a question such as
"what is the least length?" has one answer. What it cannot merge (alternatives) it keeps as open choices, which
`Shape.cases` makes. Leaving a constraint out makes a shape larger, never smaller, so what is proven about it holds.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from contracts.compatibility import types
from contracts.compatibility.budget import Budget
from contracts.compatibility.facets import Bound, Condition, Facets, Group, Items, Properties
from contracts.compatibility.nodes import Node

Key = tuple[frozenset[Node], frozenset[Node]]


@dataclass(eq=False)
class Shape:
    """All that is known about a value. Compared by identity: `Shapes` gives equal knowledge one object.

    `nodes` accept the value, the first is where it stands in the schema; `refused_by` do not accept it. A number is a
    multiple of `step`.
    """

    nodes: tuple[Node, ...]
    refused_by: tuple[Node, ...]
    shapes: "Shapes" = field(repr=False)
    types: int = types.ANY
    lower: Bound | None = None
    upper: Bound | None = None
    step: Fraction | None = None
    shortest: int = 0
    longest: int | None = None
    patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    choices: tuple[Group | Condition, ...] = ()
    items: tuple[Items, ...] = ()
    properties: tuple[Properties, ...] = ()
    values: tuple[object, ...] | None = None

    @property
    def at(self) -> str:
        """Where the writer's schema speaks of the value, rather than where it refers to that."""
        speaking = (node for node in self.nodes if node.facets != Facets(conjuncts=node.facets.conjuncts))
        node = next(speaking, self.nodes[0] if self.nodes else None)
        return node.at if node else ""

    @cached_property
    def is_anything(self) -> bool:
        """Whether nothing at all is known."""
        return not self.refused_by and all(node.facets == _ANYTHING for node in self.nodes)

    @cached_property
    def texts(self) -> frozenset[tuple[int, bytes]]:
        """The schemas as text, with their drafts: whoever has the same one says the same."""
        return frozenset((node.draft, node.text) for node in self.nodes if node.text is not None)

    def also(self, *nodes: Node, never: Iterable[Node] = ()) -> "Shape":
        """Return the shape of a value that these accept as well, and those of `never` refuse."""
        return self.shapes.of((*self.nodes, *nodes), (*self.refused_by, *never))

    def cases(self, choice: Group | Condition) -> list["Shape"]:
        """Return shapes that together are no smaller than this one, with the choice made in each."""
        if isinstance(choice, Condition):
            then = [choice.then] if choice.then else []
            otherwise = [choice.otherwise] if choice.otherwise else []
            return [self.also(choice.when, *then), self.also(*otherwise, never=[choice.when])]
        if not choice.is_exclusive:
            return [self.also(member) for member in choice.members]
        return [
            self.also(member, never=[other for other in choice.members if other is not member])
            for member in choice.members
        ]

    def accepts(self, value: object) -> bool:
        """Say whether the value can be of this shape, as far as the real validator can say."""
        return all(node.accepts(value) is not False for node in self.nodes) and not any(
            node.accepts(value) is True for node in self.refused_by
        )


_ANYTHING = Facets()


class Shapes:
    """Makes shapes, each once."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._known: dict[Key, Shape] = {}

    def of(self, nodes: Iterable[Node], refused_by: Iterable[Node] = ()) -> Shape:
        """Return the shape of a value that `nodes` accept and `refused_by` refuse."""
        nodes, refused_by = tuple(nodes), tuple(refused_by)
        asked = frozenset(nodes), frozenset(refused_by)
        shape = self._known.get(asked)
        if shape is None:
            self.budget.spend()
            accepting, refusing = self._closure(nodes, refused_by)
            key = frozenset(accepting), frozenset(refusing)
            shape = self._known.get(key)
            if shape is None:
                shape = self._known[key] = _merged(Shape(tuple(accepting), tuple(refusing), self))
            self._known[asked] = shape
        return shape

    def _closure(
        self, nodes: tuple[Node, ...], refused_by: tuple[Node, ...]
    ) -> tuple[dict[Node, None], dict[Node, None]]:
        """Return the nodes with all that they imply. Dictionaries keep the order."""
        accepting: dict[Node, None] = {}
        refusing: dict[Node, None] = {}
        waiting = [(node, True) for node in reversed(nodes)] + [(node, False) for node in refused_by]
        while waiting:
            node, accepts = waiting.pop()
            seen = accepting if accepts else refusing
            if node in seen:
                continue
            self.budget.spend()
            seen[node] = None
            waiting += _implied(node) if accepts else _implied_by_refusal(node)
        return accepting, refusing


def _implied(node: Node) -> Iterator[tuple[Node, bool]]:
    for part in reversed(node.facets.conjuncts):
        yield part, True
    for part in node.facets.nots:
        yield part, False


def _implied_by_refusal(node: Node) -> Iterator[tuple[Node, bool]]:
    """Return what is known when a schema refuses, for schemas that say one thing only."""
    facets = node.facets
    said = [name for name in Facets.__slots__ if getattr(facets, name) != getattr(_ANYTHING, name)]
    if said == ["conjuncts"] and len(facets.conjuncts) == 1:
        yield facets.conjuncts[0], False
    elif said == ["nots"]:
        yield facets.nots[0], True
    elif said == ["groups"] and len(facets.groups) == 1 and not facets.groups[0].is_exclusive:
        yield from ((member, False) for member in facets.groups[0].members)
    elif "properties" in said and facets.properties and facets.types & types.OBJECT:
        required = facets.properties.required
        if (
            len(required) == 1
            and said in (["properties"], ["types", "properties"])
            and _only_requires(facets.properties)
        ):
            yield Node.made({"properties": {required[0]: False}}), True


def _only_requires(properties: Properties) -> bool:
    return properties == Properties(required=properties.required)


def _merged(shape: Shape) -> Shape:
    choices: list[Group | Condition] = []
    for node in shape.nodes:
        facets = node.facets
        shape.types &= facets.types
        _merge_numbers(shape, facets)
        shape.shortest = max(shape.shortest, facets.shortest)
        shape.longest = least_of(shape.longest, facets.longest)
        shape.patterns += tuple(it for it in facets.patterns if it not in shape.patterns)
        shape.formats += tuple(it for it in facets.formats if it not in shape.formats)
        if facets.items is not None:
            shape.items += (facets.items,)
        if facets.properties is not None:
            shape.properties += (facets.properties,)
        if facets.values is not None and (shape.values is None or len(facets.values) < len(shape.values)):
            shape.values = facets.values
        choices += facets.groups
        choices += facets.conditions
    if not shape.types & types.FRACTION:
        shape.step = _common_step(shape.step, Fraction(1))
    elif shape.step is not None and shape.step.denominator == 1:
        shape.types &= ~types.FRACTION
    for node in shape.refused_by:
        shape.types &= ~_all_of_these_types(node)
    shape.choices = tuple(choice for choice in choices if not _is_made(shape, choice))
    return shape


def _merge_numbers(shape: Shape, facets: Facets) -> None:
    if facets.lower and (shape.lower is None or _is_above(facets.lower, shape.lower)):
        shape.lower = facets.lower
    if facets.upper and (shape.upper is None or _is_below(facets.upper, shape.upper)):
        shape.upper = facets.upper
    for multiple in facets.multiples:
        shape.step = _common_step(shape.step, multiple)


def _common_step(one: Fraction | None, other: Fraction) -> Fraction:
    """Return the least common multiple."""
    if one is None:
        return other
    return Fraction(math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator))


def _is_above(one: Bound, other: Bound) -> bool:
    return one.value > other.value or (one.value == other.value and one.is_exclusive)


def _is_below(one: Bound, other: Bound) -> bool:
    return one.value < other.value or (one.value == other.value and one.is_exclusive)


def _all_of_these_types(node: Node) -> int:
    """Return the types all of whose values the schema certainly accepts."""
    facets = node.facets
    if facets.values is not None or facets.conjuncts or facets.groups or facets.nots or facets.conditions:
        return types.NOTHING
    if facets.opaque:
        return types.NOTHING
    mask = facets.types
    if facets.lower or facets.upper or facets.multiples:
        mask &= ~types.NUMBER
    if facets.shortest or facets.longest is not None or facets.patterns or facets.formats:
        mask &= ~types.STRING
    if facets.items is not None:
        mask &= ~types.ARRAY
    return mask if facets.properties is None else mask & ~types.OBJECT


def _is_made(shape: Shape, choice: Group | Condition) -> bool:
    if isinstance(choice, Condition):
        if choice.when in shape.nodes:
            return choice.then is None or choice.then in shape.nodes
        return choice.when in shape.refused_by and (choice.otherwise is None or choice.otherwise in shape.nodes)
    taken = [member for member in choice.members if member in shape.nodes]
    if not choice.is_exclusive or not taken:
        return bool(taken)
    return len(taken) == 1 and all(member in shape.refused_by for member in choice.members if member is not taken[0])


def least_of(one: int | None, other: int | None) -> int | None:
    """Return the smaller limit, where `None` is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
