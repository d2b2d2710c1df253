"""What is known about the objects of a shape, property by property."""

import re
from functools import cached_property
from typing import TYPE_CHECKING

from synapse.compatibility import finite_values, validators
from synapse.compatibility.facets import Properties, Rest
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape, least_of

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover

_LAYERS_A_STEP = 4
_LITERAL_START = re.compile(r"\^((?:[A-Za-z0-9_/:@-]|\\[./-])+)(?![*+?{])")


class WrittenObject:
    """The objects of a shape. *Others* are properties that no schema names and no pattern matches."""

    def __init__(self, prover: "Prover", shape: Shape) -> None:
        self._prover = prover
        self.shape = shape
        self.layers = shape.properties
        prover.budget.spend(len(self.layers) // _LAYERS_A_STEP)
        required = [name for layer in self.layers for name in layer.required]
        # What all alternatives of a union require.
        self.required = self.with_dependents([*required, *sorted(shape.tags.required)])
        self.least = max([len(self.required), *(layer.least for layer in self.layers)])
        most: int | None = None
        for layer in self.layers:
            most = least_of(most, layer.most)
        self.most = most
        self.names = [node for layer in self.layers for node in layer.names]

    @cached_property
    def declared(self) -> dict[str, None]:
        """The names that some schema declares, in order."""
        return dict.fromkeys(name for layer in self.layers for name in layer.named)

    @cached_property
    def listed(self) -> dict[str, None] | None:
        """All names that there can be, when these can be listed."""
        if self.most is not None and self.most <= len(self.required):
            return self.required
        if not self.names:
            return None
        names = finite_values.all_of(self._prover, self.name())
        return None if names is None else dict.fromkeys(names)

    @cached_property
    def known(self) -> dict[str, None]:
        """The names that are spoken of one by one."""
        if self.listed is not None:
            return self.listed
        return {**self.declared, **self.required, **dict.fromkeys(n for it in self.layers for n in it.dependents)}

    @cached_property
    def patterns(self) -> dict[str, None]:
        """The patterns of names, when names cannot be listed."""
        if self.listed is not None:
            return {}
        return dict.fromkeys(pattern for layer in self.layers for pattern in layer.patterns)

    @cached_property
    def others(self) -> Shape:
        """What is known about the value of any other property."""
        return self._prover.shapes.of([rest.node for layer in self.layers for rest in layer.rests])

    @cached_property
    def has_others(self) -> bool:
        """Whether there can be other properties."""
        return self.listed is None and not self._prover.emptiness.is_empty(self.others)

    def with_dependents(self, names: object) -> dict[str, None]:
        """Return names with those that have to come with them."""
        found: dict[str, None] = {}
        waiting = list(names)  # type: ignore[call-overload]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += [needed for layer in self.layers for needed in layer.dependents.get(name, ())]
        return found

    def part(self, name: str) -> Shape:
        """Return what is known about the value of a property."""
        return self._prover.shapes.of(node for layer in self.layers for node in nodes_at(layer, name))

    def says(self, name: str, node: Node) -> bool:
        """Say whether a property is declared with the very same text: the usual case, and a quick proof."""
        if node.text is None:
            return False
        own = (layer.named.get(name) for layer in self.layers)
        return any(it is not None and it.text == node.text and it.draft == node.draft for it in own)

    def part_of(self, pattern: str) -> Shape:
        """Return what is known about the value of any property whose name matches a pattern of this shape."""
        nodes = [layer.patterns[pattern] for layer in self.layers if pattern in layer.patterns]
        return self._prover.shapes.of(nodes)

    def name(self, pattern: str | None = None) -> Shape:
        """Return what is known about the names, or about those that match a pattern."""
        kind = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
        return self._prover.shapes.of([Node.made(kind), *self.names])

    def may_have(self, name: str) -> bool:
        """Say whether there can be a property of this name."""
        if self.most == 0 or (self.listed is not None and name not in self.listed):
            return False
        if any(self._prover.shapes.accepts(node, name) is False for node in self.names):
            return False
        return not self._prover.emptiness.is_empty(self.part(name))

    def count(self) -> int | None:
        """Return how many properties there can be at most."""
        if self.patterns or self.has_others:
            return self.most
        return least_of(self.most, sum(map(self.may_have, self.known)))


def nodes_at(layer: Properties, name: str) -> list[Node]:
    """Return the schemas that one layer applies to the value of a property."""
    nodes = [layer.named[name]] if name in layer.named else []
    nodes += [node for pattern, node in layer.patterns.items() if validators.text_matches(pattern, name)]
    return nodes + [rest.node for rest in layer.rests if covers(rest, name)]


def covers(rest: Rest, name: str) -> bool:
    """Say whether a property is one of the rest."""
    return name not in rest.names and not any(validators.text_matches(pattern, name) for pattern in rest.patterns)


def exclude_each_other(one: str, other: str) -> bool:
    """Say whether no name matches both patterns, as far as their first characters tell."""
    if "|" in one or "|" in other:
        return False
    first, second = _LITERAL_START.match(one), _LITERAL_START.match(other)
    if not first or not second:
        return False
    a, b = first[1].replace("\\", ""), second[1].replace("\\", "")
    length = min(len(a), len(b))
    return a[:length] != b[:length]
