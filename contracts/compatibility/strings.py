"""Strings: lengths, patterns, formats.

Whether one pattern implies another is not asked: only a pattern that the writer has too, letter by letter, is proof.
"""

from typing import TYPE_CHECKING, Any

from contracts.compatibility import formats, rules
from contracts.compatibility.findings import Finding, Findings
from contracts.compatibility.nodes import Node
from contracts.compatibility.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contracts.compatibility.sampling import Sampler


def within(shape: Shape, reader: Node) -> Findings:
    """Return what keeps the reader from accepting all strings of the shape."""
    facets = reader.facets
    found: Findings = []
    if shape.shortest < facets.shortest:
        facts: dict[str, Any] = {"value": facets.shortest, "other": shape.shortest}
        found.append(_found(rules.MIN_LENGTH_RAISED, shape, reader, length=facets.shortest - 1, **facts))
    if facets.longest is not None and (shape.longest is None or shape.longest > facets.longest):
        facts = {"value": facets.longest, "change": raised("maxLength", shape.longest)}
        found.append(_found(rules.MAX_LENGTH_LOWERED, shape, reader, length=facets.longest + 1, **facts))
    for pattern in facets.patterns:
        if pattern not in shape.patterns:
            found.append(_found(rules.PATTERN_ADDED, shape, reader, value=pattern))
    for token in facets.formats:
        if token not in shape.formats:
            rule = rules.CONTENT_ADDED if token.startswith("content ") else rules.FORMAT_ADDED
            found.append(_found(rule, shape, reader, value=formats.name_of(token).removeprefix("content ").strip()))
    return found


def raised(keyword: str, limit: int | None) -> str:
    """Return what to do with a limit that has to grow: "Raise “maxLength” to 9"."""
    return f"Remove “{keyword}”" if limit is None else f"Raise “{keyword}” to {limit}"


def _found(rule: rules.Rule, shape: Shape, reader: Node, *, length: int | None = None, **facts: Any) -> Finding:
    def candidates(sampler: "Sampler") -> "Iterator[Any]":
        yield from sampler.strings(shape, near=length)

    return Finding(rule=rule, writer=shape.at, reader=reader.at, facts=facts, candidates=candidates)
