"""`allOf`, `anyOf`, `oneOf`, `not`, `if` and `$ref` of a reader."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from synapse.compatibility import case_split, rules
from synapse.compatibility.budget import OutOfBudget
from synapse.compatibility.facets import Condition, Group
from synapse.compatibility.findings import (
    Candidates,
    Finding,
    Findings,
    are_soft,
    candidates_of,
    fewest,
)
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover
    from synapse.compatibility.samples import Sampler

_DEEPEST_SPLITS = 4


def within(prover: "Prover", shape: Shape, reader: Node) -> Findings:
    """Return what keeps the schemas that a reader combines from accepting all values of the shape."""
    facets = reader.facets
    findings: Findings = []
    for part in facets.conjuncts:
        findings += prover.within(shape, part)
    for group in facets.groups:
        findings += _alternatives(prover, shape, group, reader)
    for condition in facets.conditions:
        findings += _condition(prover, shape, condition)
    return findings


def exclusions(prover: "Prover", shape: Shape, reader: Node) -> Findings:
    """Return what a reader excludes of the shape, or may exclude by a keyword that could not be read."""
    findings: Findings = []
    for excluded in reader.facets.nots:
        if not prover.excludes(shape, excluded):
            findings.append(_found(rules.NOT_EXTENDED, shape, reader, _values_of(shape.also(excluded), shape)))
    for keyword in reader.facets.opaque:
        findings.append(_found(rules.REFERENCE_NOT_FOLLOWED, shape, reader, _values_of(shape), name=keyword))
    return findings


def _condition(prover: "Prover", shape: Shape, condition: Condition) -> Findings:
    findings: Findings = []
    if condition.then is not None:
        findings += prover.within(shape.also(condition.when), condition.then)
    if condition.otherwise is not None:
        findings += prover.within(shape.also(never=[condition.when]), condition.otherwise)
    return findings


def _alternatives(prover: "Prover", shape: Shape, group: Group, reader: Node) -> Findings:
    if _is_promised(prover, shape, group):
        return []
    result = _one_fits(prover, shape, group, _DEEPEST_SPLITS)
    if are_soft(result):
        return result
    rule = rules.ONE_OF_NARROWED if group.is_exclusive else rules.ANY_OF_NARROWED
    return [_found(rule, shape, reader, candidates_of(result))]


def _is_promised(prover: "Prover", shape: Shape, group: Group) -> bool:
    """Say whether the writer's schema makes the same choice."""
    members = prover.shapes.possible(shape.tags, group.members)
    return any(
        isinstance(choice, Group)
        and choice.is_exclusive >= group.is_exclusive
        and (not group.is_exclusive or len(choice.members) == len(members))
        and _are_among(prover, choice.members, members)
        for choice in shape.choices
    )


def _are_among(prover: "Prover", members: Sequence[Node], others: Sequence[Node]) -> bool:
    """Say whether each of the members says the same as another one of the others, in any order."""
    left = list(others)
    for member in members:
        same = next((other for other in left if prover.sameness.are_same(member, other)), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _one_fits(prover: "Prover", shape: Shape, group: Group, splits: int) -> Findings:
    """Return what keeps all values of the shape from fitting some alternative, each its own if need be."""
    possible = prover.shapes.possible(shape.tags, group.members)
    paired = case_split.by_discriminator(prover, shape, possible)
    if paired:
        return _each_fits(prover, paired, group, splits)
    results = []
    for member in possible:
        result = _fits(prover, shape, possible if group.is_exclusive else [], member)
        if not result:
            return []
        results.append(result)
    if results and are_soft(best := fewest(results)):
        return best
    if prover.emptiness.is_empty(shape):
        return []
    if not splits:
        return [_nothing_fits(shape, results)]
    by_cases = _by_cases(prover, shape, group, splits)
    return by_cases if are_soft(by_cases) else [_nothing_fits(shape, [*results, by_cases])]


def _by_cases(prover: "Prover", shape: Shape, group: Group, splits: int) -> Findings:
    """Return what is in the way when each case of the shape may fit another alternative."""
    found: Findings = [_nothing_fits(shape, [])]
    try:
        with prover.budget.half():
            for cases in case_split.ways(prover, shape, group.members):
                found = _each_fits(prover, cases, group, splits - 1)
                if are_soft(found):
                    return found
    except OutOfBudget:
        return [_nothing_fits(shape, [])]
    return found


def _each_fits(prover: "Prover", cases: Sequence[Shape], group: Group, splits: int) -> Findings:
    """Return what keeps the cases from fitting an alternative each, up to the first that fits none."""
    found: Findings = []
    for case in cases:
        found += _one_fits(prover, case, group, splits)
        if not are_soft(found):
            break
    return found


def _fits(prover: "Prover", shape: Shape, exclusive: Sequence[Node], member: Node) -> Findings:
    result = prover.within(shape, member)
    if are_soft(result):
        for other in exclusive:
            if other is not member and not prover.excludes(shape, other):
                # What both accept is refused.
                return [_found(rules.ONE_OF_NARROWED, shape, None, _values_of(shape.also(other, member), shape))]
    return result


def _nothing_fits(shape: Shape, results: Sequence[Findings]) -> Finding:
    def candidates(sampler: "Sampler") -> Iterator[object]:
        for result in results:
            yield from candidates_of(result)(sampler)
        yield from sampler.values(shape)

    return _found(rules.ANY_OF_NARROWED, shape, None, candidates)


def _values_of(*shapes: Shape) -> Candidates:
    def candidates(sampler: "Sampler") -> Iterator[object]:
        for shape in shapes:
            yield from sampler.values(shape)

    return candidates


def _found(rule: rules.Rule, shape: Shape, reader: Node | None, candidates: Candidates, **facts: object) -> Finding:
    return Finding(rule=rule, writer=shape.at, reader=reader.at if reader else "", facts=facts, candidates=candidates)
