"""What is known about the arrays of a shape, position by position."""

from typing import TYPE_CHECKING

from synapse.compatibility.facets import Contains
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape, least_of

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover


class WrittenArray:
    """What is known about the arrays of a shape. From `tail` on, all positions are alike."""

    def __init__(self, prover: "Prover", shape: Shape) -> None:
        self._prover = prover
        self.shape = shape
        self.layers = shape.items
        self.contains = [contains for layer in self.layers for contains in layer.contains]
        # What is asked of some items needs as many, and what holds for any item counts them.
        self.least = max([0, *(layer.least for layer in self.layers), *(it.least for it in self.contains)])
        self.tail = max((len(layer.prefix) for layer in self.layers), default=0)
        most: int | None = None
        for layer in self.layers:
            ends = [index for index in range(len(layer.prefix) + 1) if _is_false(layer.node_at(index))]
            most = least_of(most, least_of(layer.most, ends[0] if ends else None))
        for it in self.contains:
            most = least_of(most, it.most if it.node.schema is True or it.node.schema == {} else None)
        self.most = most
        self.are_unique = any(layer.are_unique for layer in self.layers)

    def part(self, index: int) -> Shape:
        """Return what is known about the item at an index."""
        nodes = (layer.node_at(index) for layer in self.layers)
        return self._prover.shapes.of([node for node in nodes if node is not None])

    def may_have(self, index: int) -> bool:
        """Say whether there can be an item at an index."""
        return self.most is None or index < self.most

    def item(self, contains: Contains) -> Shape:
        """Return what is known about an item that a `contains` of this array means."""
        return self._prover.shapes.of([contains.node])


def _is_false(node: Node | None) -> bool:
    return node is not None and node.schema is False
