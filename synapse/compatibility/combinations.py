"""Compare a shape with a reader's `allOf`, `anyOf`, `oneOf`, `not`, `if` and `$ref`.

A shape is cut into cases, so that each case can fit another alternative of the reader.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from synapse.compatibility import keywords, scalars
from synapse.compatibility.budget import OutOfBudget
from synapse.compatibility.discriminators import Key, Path, Tags, values_of
from synapse.compatibility.findings import (
    Candidates,
    Finding,
    Findings,
    ProverLike,
    SamplerLike,
    candidates_of,
    nearest_to_compatible,
    only_lenient,
)
from synapse.compatibility.objects import nodes_at
from synapse.compatibility.rules import Rule
from synapse.compatibility.schema_model import Condition, Group, Node
from synapse.compatibility.shape import Shape

_MOST_ANYWAY = 2
_MOST_CUTS = 12
_MOST_VALUES = 64


def by_discriminator(prover: ProverLike, shape: Shape, alternatives: Sequence[Node]) -> list[Shape] | None:
    """Split the shape by discriminating constants into cases, so that fewer alternatives have to be compared with each.

    `None` when no constant distinguishes the alternatives.
    """
    if len(alternatives) < _MOST_ANYWAY:
        return None
    for path, keys in shape.tags.choices():
        by_alternatives: dict[tuple[Node, ...], set[Key]] = {}
        tags = [(node, prover.shapes.discriminators.tags_of(node).at(path)) for node in alternatives]
        for key in sorted(keys, key=str):
            prover.budget.spend(1 + len(tags) // 10)
            one = Tags(values=frozenset([key]))
            fitting = tuple(node for node, its in tags if not one.contradict(its))
            by_alternatives.setdefault(fitting, set()).add(key)
        if all(len(fitting) < len(alternatives) for fitting in by_alternatives):
            return [shape.also(Node.from_schema(_with_values(path, keys))) for keys in by_alternatives.values()]
    for choice in shape.choices:
        if isinstance(choice, Group) and all(
            len(prover.shapes.possible(prover.shapes.discriminators.tags_of(member), alternatives)) < len(alternatives)
            for member in choice.members
        ):
            return list(shape.cases(choice))
    return None


def _with_values(path: Path, keys: Iterable[Key]) -> dict[str, Any]:
    """Return a schema that allows only these values for the part at a path."""
    schema: dict[str, Any] = {"enum": values_of(keys)}
    for name in reversed(path):
        schema = {"type": "object", "properties": {name: schema}, "required": [name]}
    return schema


def case_splits(prover: ProverLike, shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    """Yield ways to split the shape into cases that together cover it, the cheapest first."""
    present = [mask for mask in keywords.EACH if shape.types & mask]
    if len(present) > 1:
        yield [shape.also(Node.from_schema({"type": keywords.names_of(mask)})) for mask in present]
        return
    if shape.types & keywords.FRACTION and shape.types & ~keywords.FRACTION:
        yield [shape.also(Node.from_schema({"multipleOf": 1})), shape.also(never=[Node.from_schema({"multipleOf": 1})])]
    for choice in shape.choices:
        yield list(shape.cases(choice))
    if shape.types & keywords.NUMBER:
        facets = [node.facets for node in _with_combined(alternatives)]
        ends = {bound.value for it in facets for bound in (it.lower, it.upper) if bound is not None and bound.is_exact}
        for end in sorted(ends)[:_MOST_CUTS]:
            made = ({"exclusiveMaximum": end}, {"minimum": end, "maximum": end}, {"exclusiveMinimum": end})
            yield [shape.also(Node.from_schema(schema)) for schema in made]
    if shape.types & keywords.OBJECT:
        yield from _by_properties(prover, shape, alternatives)


def _by_properties(prover: ProverLike, shape: Shape, alternatives: Sequence[Node]) -> Iterator[list[Shape]]:
    """Split by the value of a property that alternatives name, or by whether the object has it."""
    required = {name for properties in shape.properties for name in properties.required}
    for name in sorted(_names_in(alternatives))[:_MOST_CUTS]:
        prover.budget.spend()
        if name not in required:
            having, lacking = {"type": "object", "required": [name]}, {"properties": {name: False}}
            yield [shape.also(Node.from_schema(having)), shape.also(Node.from_schema(lacking))]
            continue
        part = prover.shape(node for layer in shape.properties for node in nodes_at(layer, name))
        allowed = scalars.all_of(prover, part)
        if allowed is not None and 1 < len(allowed) <= _MOST_VALUES:
            yield [shape.also(Node.from_schema({"properties": {name: {"enum": [value]}}})) for value in allowed]
        elif allowed is None and sum(1 for mask in keywords.EACH if part.types & mask) > 1:
            kinds = [mask for mask in keywords.EACH if part.types & mask]
            yield [
                shape.also(Node.from_schema({"properties": {name: {"type": keywords.names_of(mask)}}}))
                for mask in kinds
            ]


def _names_in(alternatives: Sequence[Node]) -> set[str]:
    names: set[str] = set()
    for node in _with_combined(alternatives):
        if node.facets.properties is not None:
            names.update(node.facets.properties.named, node.facets.properties.required)
    return names


def _with_combined(alternatives: Iterable[Node]) -> Iterator[Node]:
    """Yield the alternatives, and all schemas that they apply to the same value."""
    seen: dict[Node, None] = {}
    waiting = list(alternatives)
    while waiting and len(seen) < 200:
        node = waiting.pop()
        if node not in seen:
            seen[node] = None
            facets = node.facets
            waiting += facets.conjuncts + facets.nots
            waiting += [member for group in facets.groups for member in group.members]
            waiting += [condition.when for condition in facets.conditions]
    return iter(seen)


_DEEPEST_SPLITS = 4


def within(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return the findings that keep the schemas combined by a reader from accepting all values of the shape."""
    facets = reader.facets
    findings: Findings = []
    for part in facets.conjuncts:
        findings += prover.within(shape, part)
    for group in facets.groups:
        findings += _group_findings(prover, shape, group, reader)
    for condition in facets.conditions:
        findings += _condition_findings(prover, shape, condition)
    return findings


def exclusions(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return the findings for values of the shape that the reader's `not` excludes, or that an unsupported keyword may
    exclude.
    """
    findings: Findings = []
    for excluded in reader.facets.nots:
        if not prover.excludes(shape, excluded):
            findings.append(Finding.of(Rule.NOT_EXTENDED, shape, reader, _values_of(shape.also(excluded), shape)))
    for keyword in reader.facets.opaque:
        findings.append(Finding.of(Rule.REFERENCE_NOT_FOLLOWED, shape, reader, _values_of(shape), name=keyword))
    return findings


def _condition_findings(prover: ProverLike, shape: Shape, condition: Condition) -> Findings:
    findings: Findings = []
    if condition.then is not None:
        findings += prover.within(shape.also(condition.when), condition.then)
    if condition.otherwise is not None:
        findings += prover.within(shape.also(never=[condition.when]), condition.otherwise)
    return findings


def _group_findings(prover: ProverLike, shape: Shape, group: Group, reader: Node) -> Findings:
    if _is_chosen_by_writer(prover, shape, group):
        return []
    result = _fit_some(prover, shape, group, _DEEPEST_SPLITS)
    if only_lenient(result):
        return result
    rule = Rule.ONE_OF_NARROWED if group.is_exclusive else Rule.ANY_OF_NARROWED
    return [Finding.of(rule, shape, reader, candidates_of(result))]


def _is_chosen_by_writer(prover: ProverLike, shape: Shape, group: Group) -> bool:
    """Say whether the writer's schema makes the same choice."""
    members = prover.shapes.possible(shape.tags, group.members)
    return any(
        isinstance(choice, Group)
        and choice.is_exclusive >= group.is_exclusive
        and (not group.is_exclusive or len(choice.members) == len(members))
        and _are_among(prover, choice.members, members)
        for choice in shape.choices
    )


def _are_among(prover: ProverLike, members: Sequence[Node], others: Sequence[Node]) -> bool:
    """Say whether each member is equivalent to a different one of `others`, in any order."""
    left = list(others)
    for member in members:
        same = next((other for other in left if prover.equivalence.are_same(member, other)), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _fit_some(prover: ProverLike, shape: Shape, group: Group, splits: int) -> Findings:
    """Return the findings that keep values of the shape from fitting any alternative. Different values may fit
    different ones.
    """
    possible = prover.shapes.possible(shape.tags, group.members)
    paired = by_discriminator(prover, shape, possible)
    if paired:
        return _fit_each(prover, paired, group, splits)
    results = []
    for member in possible:
        result = _fit_findings(prover, shape, possible if group.is_exclusive else [], member)
        if not result:
            return []
        results.append(result)
    if results and only_lenient(best := nearest_to_compatible(results)):
        return best
    if prover.satisfiability.is_empty(shape):
        return []
    if not splits:
        return [_no_fit(shape, results)]
    by_cases = _by_cases(prover, shape, group, splits)
    return by_cases if only_lenient(by_cases) else [_no_fit(shape, [*results, by_cases])]


def _by_cases(prover: ProverLike, shape: Shape, group: Group, splits: int) -> Findings:
    """Return the findings that remain when each case of the shape may fit another alternative."""
    found: Findings = [_no_fit(shape, [])]
    try:
        with prover.budget.limit_to_half():
            for cases in case_splits(prover, shape, group.members):
                found = _fit_each(prover, cases, group, splits - 1)
                if only_lenient(found):
                    return found
    except OutOfBudget:
        return [_no_fit(shape, [])]
    return found


def _fit_each(prover: ProverLike, cases: Sequence[Shape], group: Group, splits: int) -> Findings:
    """Return the findings that keep the cases from fitting some alternative each, up to the first case that fits
    none.
    """
    found: Findings = []
    for case in cases:
        found += _fit_some(prover, case, group, splits)
        if not only_lenient(found):
            break
    return found


def _fit_findings(prover: ProverLike, shape: Shape, exclusive: Sequence[Node], member: Node) -> Findings:
    result = prover.within(shape, member)
    if only_lenient(result):
        for other in exclusive:
            if other is not member and not prover.excludes(shape, other):
                # An event that both parts accept is refused.
                return [Finding.of(Rule.ONE_OF_NARROWED, shape, None, _values_of(shape.also(other, member), shape))]
    return result


def _no_fit(shape: Shape, results: Sequence[Findings]) -> Finding:
    def candidates(sampler: SamplerLike) -> Iterator[object]:
        for result in results:
            yield from candidates_of(result)(sampler)
        yield from sampler.values(shape)

    return Finding.of(Rule.ANY_OF_NARROWED, shape, None, candidates)


def _values_of(*shapes: Shape) -> Candidates:
    return lambda sampler: chain.from_iterable(map(sampler.values, shapes))
