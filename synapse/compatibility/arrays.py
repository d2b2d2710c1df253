"""Compare constraints on arrays: items by position, lengths, uniqueness and `contains`."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from synapse.compatibility.findings import Candidates, Finding, Findings, ProverLike
from synapse.compatibility.rules import Rule
from synapse.compatibility.scalars import raise_limit_fix
from synapse.compatibility.schema_model import Contains, Node
from synapse.compatibility.shape import Shape, least_of


class WrittenArray:
    """The constraints of a shape on arrays. All positions from `tail` on have the same constraints."""

    def __init__(self, prover: ProverLike, shape: Shape) -> None:
        self._prover = prover
        self.shape = shape
        self.layers = shape.items
        self.contains = [contains for layer in self.layers for contains in layer.contains]
        # `contains` requires at least as many items as it must match.
        self.least = max([0, *(layer.least for layer in self.layers), *(it.least for it in self.contains)])
        self.tail = max((len(layer.prefix) for layer in self.layers), default=0)
        most: int | None = None
        for layer in self.layers:
            nodes = map(layer.node_at, range(len(layer.prefix) + 1))
            ends = [index for index, node in enumerate(nodes) if node is not None and node.schema is False]
            most = least_of(most, least_of(layer.most, ends[0] if ends else None))
        for it in self.contains:
            most = least_of(most, it.most if it.node.schema is True or it.node.schema == {} else None)
        self.most = most
        self.are_unique = any(layer.are_unique for layer in self.layers)

    def part(self, index: int) -> Shape:
        """Return the shape of the item at an index."""
        nodes = (layer.node_at(index) for layer in self.layers)
        return self._prover.shapes.of([node for node in nodes if node is not None])

    def may_have(self, index: int) -> bool:
        """Say whether there can be an item at an index."""
        return self.most is None or index < self.most

    def item(self, contains: Contains) -> Shape:
        """Return the shape of an item that a `contains` of this array matches."""
        return self._prover.shapes.of([contains.node])


def within(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return the findings that keep the reader from accepting all arrays of the shape."""
    items = reader.facets.items
    written = WrittenArray(prover, shape)
    found: Findings = []
    if items is None:
        return found
    if written.least < items.least:
        facts: dict[str, Any] = {"value": items.least, "other": written.least}
        found.append(
            Finding.of(Rule.MIN_ITEMS_RAISED, written.shape, reader, _arrays_of_length(shape, items.least - 1), **facts)
        )
    if items.most is not None and (written.most is None or written.most > items.most):
        facts = {"value": items.most, "change": raise_limit_fix("maxItems", written.most)}
        found.append(
            Finding.of(Rule.MAX_ITEMS_LOWERED, written.shape, reader, _arrays_of_length(shape, items.most + 1), **facts)
        )
    if items.are_unique and not written.are_unique and written.may_have(1):
        found.append(Finding.of(Rule.UNIQUE_ITEMS_ADDED, written.shape, reader, lambda sampler: sampler.doubles(shape)))
    for index in range(max(written.tail, len(items.prefix)) + 1):
        if not written.may_have(index):
            break
        prover.budget.spend()
        node = items.node_at(index)
        if node is not None:
            found += _item_findings(prover, written, reader, index, node)
    for contains in items.contains:
        found += _contains_findings(prover, written, reader, contains)
    return found


def _item_findings(prover: ProverLike, written: WrittenArray, reader: Node, index: int, node: Node) -> Findings:
    findings = prover.below(written.part(index), node)
    shape = written.shape
    if findings and node.schema is False:
        candidates = _arrays_of_length(shape, index + 1)
        return [Finding.of(Rule.ITEM_REMOVED_FROM_CLOSED_ARRAY, written.shape, node, candidates, value=index)]
    return [it.inside(lambda sampler, value: sampler.arrays(shape, at={index: value})) for it in findings]


def _contains_findings(prover: ProverLike, written: WrittenArray, reader: Node, wanted: Contains) -> Findings:
    found: Findings = []
    if wanted.least and not _has_enough(prover, written, wanted):
        candidates = _arrays_of(written.shape, prover.shape((), [wanted.node]), None)
        found.append(Finding.of(Rule.CONTAINS_ADDED, written.shape, wanted.node, candidates, value=wanted.least))
    if wanted.most is not None and not _has_few(prover, written, wanted.node, wanted.most):
        candidates = _arrays_of(written.shape, prover.shape([wanted.node]), max(wanted.most + 1, written.least))
        found.append(Finding.of(Rule.MAX_CONTAINS_LOWERED, written.shape, wanted.node, candidates, value=wanted.most))
    return found


def _has_enough(prover: ProverLike, written: WrittenArray, wanted: Contains) -> bool:
    for own in written.contains:
        if own.least >= wanted.least and not prover.below(written.item(own), wanted.node):
            return True
    return (
        _count_positions(prover, written, written.least, lambda part: not prover.below(part, wanted.node))
        >= wanted.least
    )


def _has_few(prover: ProverLike, written: WrittenArray, node: Node, most: int) -> bool:
    for own in written.contains:
        if own.most is not None and own.most <= most and not prover.below(prover.shape([node]), own.node):
            return True
    if written.most is None:
        # The number of items is not limited, so all positions from `tail` on must exclude the node.
        if not prover.excludes_below(written.part(written.tail), node):
            return False
        return (
            _count_positions(prover, written, written.tail, lambda part: not prover.excludes_below(part, node)) <= most
        )
    return _count_positions(prover, written, written.most, lambda part: not prover.excludes_below(part, node)) <= most


def _count_positions(prover: ProverLike, written: WrittenArray, stop: int, holds: Callable[[Shape], bool]) -> int:
    """Count the positions before `stop` whose items satisfy `holds`."""
    count = 0
    for index in range(min(stop, written.tail)):
        prover.budget.spend()
        count += bool(holds(written.part(index)))
    if stop > written.tail and holds(written.part(written.tail)):
        count += stop - written.tail
    return count


def are_impossible(prover: ProverLike, shape: Shape) -> bool:
    """Say whether no array can be of the shape."""
    if not shape.items:
        return False
    written = WrittenArray(prover, shape)
    if written.most is not None and written.least > written.most:
        return True
    for index in range(min(written.least, written.tail + 1)):
        if prover.satisfiability.is_empty(written.part(index)):
            return True
    for contains in written.contains:
        if contains.most is not None and contains.least > contains.most:
            return True
        if contains.least and _has_few(prover, written, contains.node, contains.least - 1):
            return True
    return False


def _arrays_of_length(shape: Shape, length: int) -> Candidates:
    return lambda sampler: sampler.arrays(shape, length=length)


def _arrays_of(shape: Shape, each: Shape, length: int | None) -> Candidates:
    return lambda sampler: chain(sampler.arrays(shape, each=each, length=length), sampler.arrays(shape))
