"""Numbers: bounds and multiples.

A bound between two multiples of the step that a writer's numbers have (1 for integers) means the next multiple.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from synapse.compatibility import rules, schema_parser
from synapse.compatibility.facets import Bound
from synapse.compatibility.findings import Finding, Findings
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from synapse.compatibility.samples import Sampler

_EXACT = 2**53
_SIGNS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}


def within(shape: Shape, reader: Node) -> Findings:
    """Return what keeps the reader from accepting all numbers of the shape."""
    facets = reader.facets
    found: Findings = []
    if facets.lower is not None and not _implies(shape, shape.lower, facets.lower, is_lower=True):
        found.append(_bound(rules.MINIMUM_RAISED, shape, reader, shape.lower, facets.lower))
    if facets.upper is not None and not _implies(shape, shape.upper, facets.upper, is_lower=False):
        found.append(_bound(rules.MAXIMUM_LOWERED, shape, reader, shape.upper, facets.upper))
    for multiple in facets.multiples:
        if not _are_multiples(shape, multiple):
            facts = {"value": written(multiple)}
            found.append(
                Finding(
                    rule=rules.MULTIPLE_OF_NARROWED,
                    writer=shape.at,
                    reader=reader.at,
                    facts=facts,
                    candidates=lambda sampler: sampler.numbers(shape),
                )
            )
    return found


def are_impossible(shape: Shape) -> bool:
    """Say whether no number can be of the shape."""
    lower, upper = shape.lower, shape.upper
    if lower is None or upper is None or not lower.is_exact or not upper.is_exact:
        return False
    if lower.value > upper.value or (lower.value == upper.value and (lower.is_exclusive or upper.is_exclusive)):
        return True
    first, last = first_multiple(shape, lower, is_lower=True), first_multiple(shape, upper, is_lower=False)
    return first is not None and last is not None and first > last


def first_multiple(shape: Shape, bound: Bound, *, is_lower: bool) -> Fraction | None:
    """Return the multiple of the shape's step that is nearest to a bound, on the side that it allows.

    `None` when the shape's numbers have no step, and for a bound so far away that doubles leave integers out.
    """
    if shape.step is None or abs(bound.value) >= _EXACT:
        return None
    times = schema_parser.fraction(bound.value) / shape.step
    nearest = math.ceil(times) if is_lower else math.floor(times)
    if bound.is_exclusive and nearest == times:
        nearest += 1 if is_lower else -1
    return nearest * shape.step


def _implies(shape: Shape, own: Bound | None, wanted: Bound, *, is_lower: bool) -> bool:
    if own is None:
        return False
    if _is_within(own, wanted, is_lower=is_lower):
        return True
    first = first_multiple(shape, own, is_lower=is_lower)
    wanted_first = first_multiple(shape, wanted, is_lower=is_lower)
    if first is None or wanted_first is None:
        return False
    return first >= wanted_first if is_lower else first <= wanted_first


def _is_within(own: Bound, wanted: Bound, *, is_lower: bool) -> bool:
    if not own.is_exact or not wanted.is_exact:
        return own == wanted
    if own.value == wanted.value:
        return own.is_exclusive or not wanted.is_exclusive
    return own.value > wanted.value if is_lower else own.value < wanted.value


def _are_multiples(shape: Shape, wanted: Fraction) -> bool:
    return shape.step is not None and (shape.step / wanted).denominator == 1


def _bound(rule: rules.Rule, shape: Shape, reader: Node, own: Bound | None, wanted: Bound) -> Finding:
    facts = {
        "reader_bound": described(wanted),
        "writer_bound": f" ({described(own)})" if own else "",
    }

    def candidates(sampler: "Sampler") -> Iterator[Any]:
        yield from sampler.numbers(shape, near=wanted.value)

    return Finding(rule=rule, writer=shape.at, reader=reader.at, facts=facts, candidates=candidates)


def described(bound: Bound) -> str:
    """Return a bound in words: "from 1", "below 5"."""
    word = bound.keyword
    if bound.is_exclusive and not word.startswith("exclusive"):
        word = "exclusive" + word.capitalize()
    return f"{_SIGNS[word]} {bound.value}"


def written(number: Fraction) -> str:
    """Return a number as a schema would have it."""
    return str(number.numerator) if number.denominator == 1 else repr(float(number))
