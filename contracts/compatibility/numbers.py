"""Numbers: bounds and multiples."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from contracts.compatibility import rules, types
from contracts.compatibility.facets import Bound
from contracts.compatibility.findings import Finding, Findings
from contracts.compatibility.nodes import Node
from contracts.compatibility.shapes import Shape

if TYPE_CHECKING:
    from contracts.compatibility.sampling import Sampler

_SIGNS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}


def within(shape: Shape, reader: Node) -> Findings:
    """Return what keeps the reader from accepting all numbers of the shape."""
    facets = reader.facets
    found: Findings = []
    if facets.lower is not None and not _implies(shape.lower, facets.lower, is_lower=True):
        found.append(_bound(rules.MINIMUM_RAISED, shape, reader, shape.lower, facets.lower))
    if facets.upper is not None and not _implies(shape.upper, facets.upper, is_lower=False):
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


def _implies(own: Bound | None, wanted: Bound, *, is_lower: bool) -> bool:
    if own is None:
        return False
    if not own.is_exact or not wanted.is_exact:
        return own == wanted
    if own.value == wanted.value:
        return own.is_exclusive or not wanted.is_exclusive
    return own.value > wanted.value if is_lower else own.value < wanted.value


def _are_multiples(shape: Shape, wanted: Fraction) -> bool:
    if any((own / wanted).denominator == 1 for own in shape.multiples):
        return True
    return not shape.types & types.FRACTION and (1 / wanted).denominator == 1


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
