"""Arrays: items by position, lengths, uniqueness, `contains`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from synapse.compatibility import rules
from synapse.compatibility.asserted_arrays import WrittenArray
from synapse.compatibility.facets import Contains
from synapse.compatibility.findings import Candidates, Finding, Findings
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape
from synapse.compatibility.strings import raised

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover
    from synapse.compatibility.samples import Sampler


def within(prover: "Prover", shape: Shape, reader: Node) -> Findings:
    """Return what keeps the reader from accepting all arrays of the shape."""
    items = reader.facets.items
    written = WrittenArray(prover, shape)
    found: Findings = []
    if items is None:
        return found
    if written.least < items.least:
        facts: dict[str, Any] = {"value": items.least, "other": written.least}
        found.append(_found(rules.MIN_ITEMS_RAISED, written, reader, _of_length(shape, items.least - 1), **facts))
    if items.most is not None and (written.most is None or written.most > items.most):
        facts = {"value": items.most, "change": raised("maxItems", written.most)}
        found.append(_found(rules.MAX_ITEMS_LOWERED, written, reader, _of_length(shape, items.most + 1), **facts))
    if items.are_unique and not written.are_unique and written.may_have(1):
        found.append(_found(rules.UNIQUE_ITEMS_ADDED, written, reader, lambda sampler: sampler.doubles(shape)))
    for index in range(max(written.tail, len(items.prefix)) + 1):
        if not written.may_have(index):
            break
        prover.budget.spend()
        node = items.node_at(index)
        if node is not None:
            found += _at(prover, written, reader, index, node)
    for contains in items.contains:
        found += _contains(prover, written, reader, contains)
    return found


def _at(prover: "Prover", written: WrittenArray, reader: Node, index: int, node: Node) -> Findings:
    findings = prover.below(written.part(index), node)
    shape = written.shape
    if findings and node.schema is False:
        candidates = _of_length(shape, index + 1)
        return [_found(rules.ITEM_REMOVED_FROM_CLOSED_ARRAY, written, node, candidates, value=index)]
    return [it.inside(lambda sampler, value: sampler.arrays(shape, at={index: value})) for it in findings]


def _contains(prover: "Prover", written: WrittenArray, reader: Node, wanted: Contains) -> Findings:
    found: Findings = []
    if wanted.least and not _has_enough(prover, written, wanted):
        candidates = _of_items(written.shape, prover.shape((), [wanted.node]), None)
        found.append(_found(rules.CONTAINS_ADDED, written, wanted.node, candidates, value=wanted.least))
    if wanted.most is not None and not _has_few(prover, written, wanted.node, wanted.most):
        candidates = _of_items(written.shape, prover.shape([wanted.node]), max(wanted.most + 1, written.least))
        found.append(_found(rules.MAX_CONTAINS_LOWERED, written, wanted.node, candidates, value=wanted.most))
    return found


def _has_enough(prover: "Prover", written: WrittenArray, wanted: Contains) -> bool:
    for own in written.contains:
        if own.least >= wanted.least and not prover.below(written.item(own), wanted.node):
            return True
    return _count(prover, written, written.least, lambda part: not prover.below(part, wanted.node)) >= wanted.least


def _has_few(prover: "Prover", written: WrittenArray, node: Node, most: int) -> bool:
    for own in written.contains:
        if own.most is not None and own.most <= most and not prover.below(prover.shape([node]), own.node):
            return True
    if written.most is None:
        # Positions without end must all exclude it.
        if not prover.excludes_below(written.part(written.tail), node):
            return False
        return _count(prover, written, written.tail, lambda part: not prover.excludes_below(part, node)) <= most
    return _count(prover, written, written.most, lambda part: not prover.excludes_below(part, node)) <= most


def _count(prover: "Prover", written: WrittenArray, stop: int, holds: Callable[[Shape], bool]) -> int:
    """Count the positions before `stop` whose items are such."""
    count = 0
    for index in range(min(stop, written.tail)):
        prover.budget.spend()
        count += bool(holds(written.part(index)))
    if stop > written.tail and holds(written.part(written.tail)):
        count += stop - written.tail
    return count


def are_impossible(prover: "Prover", shape: Shape) -> bool:
    """Say whether no array can be of the shape."""
    if not shape.items:
        return False
    written = WrittenArray(prover, shape)
    if written.most is not None and written.least > written.most:
        return True
    for index in range(min(written.least, written.tail + 1)):
        if prover.emptiness.is_empty(written.part(index)):
            return True
    for contains in written.contains:
        if contains.most is not None and contains.least > contains.most:
            return True
        if contains.least and _has_few(prover, written, contains.node, contains.least - 1):
            return True
    return False


def _of_length(shape: Shape, length: int) -> Candidates:
    def candidates(sampler: "Sampler") -> Iterator[Any]:
        yield from sampler.arrays(shape, length=length)

    return candidates


def _of_items(shape: Shape, each: Shape, length: int | None) -> Candidates:
    def candidates(sampler: "Sampler") -> Iterator[Any]:
        yield from sampler.arrays(shape, each=each, length=length)
        yield from sampler.arrays(shape)

    return candidates


def _found(rule: rules.Rule, written: WrittenArray, reader: Node, candidates: Candidates, **facts: Any) -> Finding:
    return Finding(rule=rule, writer=written.shape.at, reader=reader.at, facts=facts, candidates=candidates)
