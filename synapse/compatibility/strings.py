"""Strings: lengths, patterns, formats.

Of patterns, two things are proof: that the writer has the same one, letter by letter, and that both repeat one class of
characters from end to end (`^[0-9]{3}$`, `^[0-9]+$`).
"""

import math
import re
from typing import TYPE_CHECKING, Any

from synapse.compatibility import formats, rules
from synapse.compatibility.findings import Finding, Findings
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synapse.compatibility.samples import Sampler

_REPEATED = re.compile(
    r"\^(?P<class>\[[^\[\]\\^]+\]|\\d|[A-Za-z0-9])(?P<times>[*+?]|\{[0-9]{1,6}(,[0-9]{0,6})?\})?\$\Z"
)
_TIMES = {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}


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
        if pattern not in shape.patterns and not any(_is_implied(own, pattern) for own in shape.patterns):
            found.append(_found(rules.PATTERN_ADDED, shape, reader, value=pattern))
    for token in facets.formats:
        if token not in shape.formats:
            rule = rules.CONTENT_ADDED if token.startswith("content ") else rules.FORMAT_ADDED
            found.append(_found(rule, shape, reader, value=formats.name_of(token).removeprefix("content ").strip()))
    return found


def _is_implied(own: str, wanted: str) -> bool:
    """Say whether a repeated class of characters is repeated as often as another pattern asks."""
    first, second = _REPEATED.match(own), _REPEATED.match(wanted)
    if first is None or second is None or _class_of(first) != _class_of(second):
        return False
    (least, most), (wanted_least, wanted_most) = _times(first), _times(second)
    return least >= wanted_least and most <= wanted_most


def _class_of(match: re.Match[str]) -> str:
    return "[0-9]" if match["class"] == r"\d" else match["class"]


def _times(match: re.Match[str]) -> tuple[float, float]:
    times = match["times"] or "{1}"
    if times in _TIMES:
        return _TIMES[times]
    least, comma, most = times[1:-1].partition(",")
    return int(least), int(most) if most else math.inf if comma else int(least)


def raised(keyword: str, limit: int | None) -> str:
    """Return what to do with a limit that has to grow: "Raise “maxLength” to 9"."""
    return f"Remove “{keyword}”" if limit is None else f"Raise “{keyword}” to {limit}"


def _found(rule: rules.Rule, shape: Shape, reader: Node, *, length: int | None = None, **facts: Any) -> Finding:
    def candidates(sampler: "Sampler") -> "Iterator[Any]":
        yield from sampler.strings(shape, near=length)

    return Finding(rule=rule, writer=shape.at, reader=reader.at, facts=facts, candidates=candidates)
