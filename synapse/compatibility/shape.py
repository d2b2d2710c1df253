"""The shape of a written value: the schemas that accept it, and the schemas that refuse it.

A shape is a conjunction. It merges the facets of its schemas, following `allOf` and `$ref`, so that a question such as
"is there a least length?" has one answer. Alternatives cannot be merged: they remain open choices, which `Shape.cases`
makes. Ignoring a constraint can only make a shape larger, so proofs about the shape stay valid.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget
from synapse.compatibility.discriminators import ANY_TAGS, Discriminators, Tags
from synapse.compatibility.schema_model import Bound, Condition, Facets, Group, Items, Node, Properties
from synapse.compatibility.validators import LENGTHS

_TAGS_A_STEP = 10
Key = tuple[frozenset[Node], frozenset[Node]]


@dataclass(eq=False)
class Shape:
    """All that is known about a value. Compared by identity: `Shapes` makes one object for equal schemas.

    `nodes` accept the value, the first is the one at its place in the schema; `refused_by` refuse it. A number is a
    multiple of `step`.
    """

    nodes: tuple[Node, ...]
    refused_by: tuple[Node, ...]
    shapes: "Shapes" = field(repr=False)
    types: int = keywords.ANY
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
    tags: Tags = ANY_TAGS

    @property
    def at(self) -> str:
        """The place in the writer's schema that constrains the value, not one that only refers to it."""
        speaking = (node for node in self.nodes if node.facets != Facets(conjuncts=node.facets.conjuncts))
        node = next(speaking, self.nodes[0] if self.nodes else None)
        return node.at if node else ""

    @cached_property
    def is_anything(self) -> bool:
        """Whether nothing is known about the value."""
        return not self.refused_by and all(node.facets == _ANYTHING for node in self.nodes)

    @cached_property
    def texts(self) -> frozenset[tuple[int, bytes]]:
        """The schemas as text, with their drafts: two shapes with equal texts have equal constraints."""
        return frozenset((node.draft, node.text) for node in self.nodes if node.text is not None)

    def also(self, *nodes: Node, never: Iterable[Node] = ()) -> "Shape":
        """Return the shape narrowed to values that these schemas accept, too, and that the schemas of `never`
        refuse.
        """
        return self.shapes.of(nodes, never, base=self)

    def cases(self, choice: Group | Condition) -> Iterator["Shape"]:
        """Yield shapes that together cover this one, with the choice made in each."""
        if isinstance(choice, Condition):
            then = [choice.then] if choice.then else []
            otherwise = [choice.otherwise] if choice.otherwise else []
            yield self.also(choice.when, *then)
            yield self.also(*otherwise, never=[choice.when])
            return
        for member in choice.members:
            yield self.also(member, never=self.shapes.rivals(choice, member) if choice.is_exclusive else ())

    def accepts(self, value: object) -> bool:
        """Say whether the value can be of this shape, as far as the real validator can say."""
        accepts = self.shapes.accepts
        return all(accepts(node, value) is not False for node in self.nodes) and not any(
            accepts(node, value) is True for node in self.refused_by
        )


_ANYTHING = Facets()


class Shapes:
    """Makes shapes, one object for equal ones."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.discriminators = Discriminators(budget)
        self._known: dict[Key, Shape] = {}
        self._rivals: dict[tuple[Group, Node], list[Node]] = {}
        self._compiled: set[Node] = set()

    def of(self, nodes: Iterable[Node], refused_by: Iterable[Node] = (), *, base: Shape | None = None) -> Shape:
        """Return the shape of a value that `nodes` accept and `refused_by` refuse, and that is of the shape `base`."""
        nodes, refused_by = tuple(nodes), tuple(refused_by)
        if base is None:
            asked = frozenset(nodes), frozenset(refused_by)
        else:
            asked = frozenset((*base.nodes, *nodes)), frozenset((*base.refused_by, *refused_by))
        shape = self._known.get(asked)
        if shape is None:
            self.budget.spend()
            closure = _Closure(self, nodes, refused_by, base)
            key = frozenset(closure.accepting), frozenset(closure.refusing)
            shape = self._known.get(key)
            if shape is None:
                shape = self._known[key] = closure.shape()
            self._known[asked] = shape
        return shape

    def accepts(self, node: Node, value: object) -> bool | None:
        """Validate a value with the real validator of a schema; `None` when it cannot. Spends the cost of the call."""
        if node not in self._compiled:
            self._compiled.add(node)
            self.budget.spend(node.cost_of_compiling)
        self.budget.spend(node.cost_of_asking)
        return node.accepts(value)

    def possible(self, tags: Tags, nodes: Iterable[Node]) -> list[Node]:
        """Return the schemas that may accept a value with these tags."""
        nodes = tuple(nodes)
        self.budget.spend(1 + len(nodes) // _TAGS_A_STEP)
        return [node for node in nodes if not tags.contradict(self.discriminators.tags_of(node))]

    def rivals(self, group: Group, member: Node) -> list[Node]:
        """Return the other members of a group that may accept the same values as one of them."""
        known = self._rivals.get((group, member))
        if known is None:
            possible = self.possible(self.discriminators.tags_of(member), group.members)
            known = self._rivals[group, member] = [node for node in possible if node is not member]
        return known


class _Closure:
    """Schemas that accept or refuse a value, with all schemas that they imply, and the choices that remain open.

    Discriminating constants exclude alternatives: the last remaining member of a union is implied.
    """

    def __init__(self, shapes: Shapes, nodes: Iterable[Node], refused_by: Iterable[Node], base: Shape | None) -> None:
        self._shapes = shapes
        self._base = Shape((), (), shapes) if base is None else base
        # Dictionaries keep the order.
        self.accepting: dict[Node, None] = dict.fromkeys(self._base.nodes)
        self.refusing: dict[Node, None] = dict.fromkeys(self._base.refused_by)
        self.tags = self._base.tags
        self.choices: list[Group | Condition] = [*self._base.choices]
        waiting = [(node, True) for node in reversed(tuple(nodes))] + [(node, False) for node in refused_by]
        while waiting:
            self._add_all(waiting)
            waiting = self._make_decided_choices()

    def shape(self) -> Shape:
        """Return the merged shape."""
        made = replace(
            self._base,
            nodes=tuple(self.accepting),
            refused_by=tuple(self.refusing),
            choices=tuple(self.choices),
            tags=self.tags,
        )
        _merge_constraints(made, made.nodes[len(self._base.nodes) :], made.refused_by[len(self._base.refused_by) :])
        made.types &= keywords.NOTHING if self.tags.are_impossible else self.tags.kinds
        return made

    def _add_all(self, waiting: list[tuple[Node, bool]]) -> None:
        discriminators = self._shapes.discriminators
        while waiting:
            node, accepts = waiting.pop()
            seen = self.accepting if accepts else self.refusing
            if node in seen:
                continue
            self._shapes.budget.spend()
            seen[node] = None
            if accepts:
                self.tags = self.tags.both(discriminators.tags_of(node))
                self.choices += (*node.facets.groups, *node.facets.conditions)
                waiting += _implied_by(node)
            else:
                self.tags = self.tags.both(discriminators.tags_of_refusal(node))
                waiting += _implied_by_refusal(node)

    def _make_decided_choices(self) -> list[tuple[Node, bool]]:
        """Make the choices that are decided by now. Return the schemas that they imply."""
        following: list[tuple[Node, bool]] = []
        still_open: list[Group | Condition] = []
        self._shapes.budget.spend(len(self.choices) // _TAGS_A_STEP)
        for choice in self.choices:
            decided, left = self._decide_group(choice) if isinstance(choice, Group) else self._decide_condition(choice)
            following += decided
            still_open += left
        self.choices = still_open
        return following

    def _decide_group(self, choice: Group) -> tuple[list[tuple[Node, bool]], list[Group | Condition]]:
        members = tuple(self._shapes.possible(self.tags, (it for it in choice.members if it not in self.refusing)))
        if len(members) == 1:
            return [(members[0], True)], []
        taken = [member for member in members if member in self.accepting]
        if not members or (taken and not choice.is_exclusive):
            self.tags = self.tags if members else _NO_TAGS
            return [], []
        return [], [choice if len(members) == len(choice.members) else Group(members, choice.is_exclusive)]

    def _decide_condition(self, choice: Condition) -> tuple[list[tuple[Node, bool]], list[Group | Condition]]:
        when = choice.when
        if when in self.accepting or self.tags.imply(when):
            return [(choice.then, True)] if choice.then else [], []
        if when in self.refusing or not self._shapes.possible(self.tags, [when]):
            return [(choice.otherwise, True)] if choice.otherwise else [], []
        return [], [choice]


_NO_TAGS = Tags(kinds=keywords.NOTHING)


def _implied_by(node: Node) -> Iterator[tuple[Node, bool]]:
    for part in reversed(node.facets.conjuncts):
        yield part, True
    for part in node.facets.nots:
        yield part, False


def _implied_by_refusal(node: Node) -> Iterator[tuple[Node, bool]]:
    """Yield the schemas implied when a schema with a single keyword refuses the value."""
    facets = node.facets
    said = [name for name in Facets.__slots__ if getattr(facets, name) != getattr(_ANYTHING, name)]
    if said == ["conjuncts"] and len(facets.conjuncts) == 1:
        yield facets.conjuncts[0], False
    elif said == ["nots"]:
        yield facets.nots[0], True
    elif said == ["groups"] and len(facets.groups) == 1 and not facets.groups[0].is_exclusive:
        yield from ((member, False) for member in facets.groups[0].members)
    elif "properties" in said and facets.properties and facets.types & keywords.OBJECT:
        required = facets.properties.required
        if (
            len(required) == 1
            and said in (["properties"], ["types", "properties"])
            and facets.properties == Properties(required=required)
        ):
            yield Node.from_schema({"properties": {required[0]: False}}), True


def _merge_constraints(shape: Shape, nodes: Iterable[Node], refused_by: Iterable[Node]) -> None:
    """Merge the constraints of further schemas that accept a value of the shape, or refuse it."""
    for node in nodes:
        facets = node.facets
        shape.types &= facets.types
        _merge_numbers(shape, facets)
        shape.shortest = max(shape.shortest, facets.shortest)
        shape.longest = least_of(shape.longest, facets.longest)
        shape.patterns += tuple(it for it in facets.patterns if it not in shape.patterns)
        shape.formats += tuple(it for it in facets.formats if it not in shape.formats)
        for token in facets.formats:
            if token in LENGTHS:
                shape.shortest = max(shape.shortest, LENGTHS[token][0])
                shape.longest = least_of(shape.longest, LENGTHS[token][1])
        if facets.items is not None:
            shape.items += (facets.items,)
        if facets.properties is not None:
            shape.properties += (facets.properties,)
        if facets.values is not None and (shape.values is None or len(facets.values) < len(shape.values)):
            shape.values = facets.values
    if not shape.types & keywords.FRACTION:
        shape.step = _common_step(shape.step, Fraction(1))
    elif shape.step is not None and shape.step.denominator == 1:
        shape.types &= ~keywords.FRACTION
    for node in refused_by:
        shape.types &= ~_fully_accepted_types(node)


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


def _fully_accepted_types(node: Node) -> int:
    """Return the types of which the schema certainly accepts all values."""
    facets = node.facets
    if facets.values is not None or facets.conjuncts or facets.groups or facets.nots or facets.conditions:
        return keywords.NOTHING
    if facets.opaque:
        return keywords.NOTHING
    mask = facets.types
    if facets.lower or facets.upper or facets.multiples:
        mask &= ~keywords.NUMBER
    if facets.shortest or facets.longest is not None or facets.patterns or facets.formats:
        mask &= ~keywords.STRING
    if facets.items is not None:
        mask &= ~keywords.ARRAY
    return mask if facets.properties is None else mask & ~keywords.OBJECT


def least_of(one: int | None, other: int | None) -> int | None:
    """Return the smaller limit, where `None` is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
