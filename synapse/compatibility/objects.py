"""Objects: what has to be there, and what each property may be."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from synapse.compatibility import json_types, rules, validators
from synapse.compatibility.asserted_objects import WrittenObject, covers, exclude_each_other
from synapse.compatibility.facets import Properties, Rest
from synapse.compatibility.findings import (
    Candidates,
    Finding,
    Findings,
    are_soft,
    candidates_of,
)
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape
from synapse.compatibility.strings import raised

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover
    from synapse.compatibility.samples import Sampler


def within(prover: "Prover", shape: Shape, reader: Node) -> Findings:
    """Return what keeps the reader from accepting all objects of the shape."""
    wanted = reader.facets.properties
    if wanted is None:
        return []
    written = WrittenObject(prover, shape)
    found = list(_presence(written, reader, wanted))
    if written.most == 0:
        return found
    for name, node in wanted.named.items():
        prover.budget.spend()
        if not written.says(name, node):
            found += _named(prover, written, wanted, name, node)
    for pattern, node in wanted.patterns.items():
        found += _pattern(prover, written, pattern, node)
    for rest in wanted.rests:
        found += _rest(prover, written, wanted, rest)
    for node in wanted.names:
        found += _names(prover, written, node)
    return found


def are_impossible(prover: "Prover", shape: Shape) -> bool:
    """Say whether no object can be of the shape."""
    if not shape.properties:
        return False
    written = WrittenObject(prover, shape)
    if written.most is not None and written.least > written.most:
        return True
    if not all(written.may_have(name) for name in written.required):
        return True
    if written.least <= len(written.required):
        return False
    most = written.count()
    return most is not None and written.least > most


def _presence(written: WrittenObject, reader: Node, wanted: Properties) -> Iterator[Finding]:
    """Find what the reader wants to be there, and how much of it."""
    shape = written.shape
    for name in wanted.required:
        if name not in written.required:
            yield _found(rules.REQUIRED_PROPERTY_ADDED, written, reader, _objects(shape, without=[name]), name=name)
    if wanted.least > written.least:
        facts: dict[str, Any] = {"value": wanted.least, "other": written.least}
        yield _found(rules.MIN_PROPERTIES_RAISED, written, reader, _objects(shape, count=wanted.least - 1), **facts)
    most = None if wanted.most is None else written.count()
    if wanted.most is not None and (most is None or most > wanted.most):
        facts = {"value": wanted.most, "change": raised("maxProperties", most)}
        yield _found(rules.MAX_PROPERTIES_LOWERED, written, reader, _objects(shape, count=wanted.most + 1), **facts)
    for name, needed in wanted.dependents.items():
        if written.may_have(name):
            there = written.with_dependents([*written.required, name])
            for other in needed:
                if other not in there:
                    candidates = _objects(shape, having=[name], without=[other])
                    yield _found(rules.DEPENDENCY_ADDED, written, reader, candidates, name=name, other=other)


def _named(prover: "Prover", written: WrittenObject, wanted: Properties, name: str, node: Node) -> Findings:
    part = written.part(name)
    is_open = (
        part.is_anything and name not in wanted.required and not (name in written.required or name in written.declared)
    )
    if is_open and node.facets.types != json_types.ANY and written.may_have(name):
        # The usual case, decided without looking closer; that waits until a witness is wanted.
        return [
            _found(rules.PROPERTY_ADDED_TO_OPEN_OBJECT, written, node, _put(prover, written, name, node), name=name)
        ]
    findings = _property(prover, written, name, part, node)
    if not findings or name in written.declared:
        return findings
    if is_open:
        return [_wrapped(rules.PROPERTY_ADDED_TO_OPEN_OBJECT, written, node, findings, name=name)]
    if are_soft(findings):
        return findings
    return [_wrapped(rules.PROPERTY_ADDED_NOT_COVERED, written, node, findings, name=name)]


def _put(prover: "Prover", written: WrittenObject, name: str, node: Node) -> Candidates:
    def candidates(sampler: "Sampler") -> Iterator[Any]:
        findings = _property(prover, written, name, written.part(name), node)
        yield from candidates_of(findings)(sampler)

    return candidates


def _property(prover: "Prover", written: WrittenObject, name: str, part: Shape, node: Node) -> Findings:
    findings = prover.below(part, node)
    if not findings or not written.may_have(name):
        return []
    shape = written.shape
    return [it.inside(lambda sampler, value: sampler.objects(shape, given={name: value})) for it in findings]


def _pattern(prover: "Prover", written: WrittenObject, pattern: str, node: Node) -> Findings:
    """Find what is in the way for properties whose names match a pattern of the reader."""
    found: Findings = []
    for name in written.known:
        prover.budget.spend()
        if validators.text_matches(pattern, name):
            found += _property(prover, written, name, written.part(name), node)
    parts = [written.part_of(own) for own in written.patterns if own == pattern]
    if not parts:
        parts = [written.part_of(own) for own in written.patterns if not exclude_each_other(own, pattern)]
        parts += [written.others] if written.has_others else []
    for part in parts:
        findings = prover.below(part, node)
        if are_soft(findings):
            found += _under_names(prover, written, findings, pattern)
        else:
            under = _under_names(prover, written, findings, pattern)
            found.append(_wrapped(rules.PATTERN_PROPERTY_ADDED, written, node, under, name=pattern))
    return found


def _rest(prover: "Prover", written: WrittenObject, wanted: Properties, rest: Rest) -> Findings:
    """Find what is in the way for properties that the reader does not speak of."""
    found: Findings = []
    for name in written.known:
        prover.budget.spend()
        if covers(rest, name):
            findings = _property(prover, written, name, written.part(name), rest.node)
            found += _removed(written, rest, name, findings)
    for pattern in written.patterns:
        if pattern in rest.patterns:
            continue
        findings = prover.below(written.part_of(pattern), rest.node)
        under = _under_names(prover, written, findings, pattern)
        if are_soft(findings):
            found += under
        else:
            found.append(_wrapped(rules.PATTERN_PROPERTY_REMOVED, written, rest.node, under, name=pattern))
    if written.has_others and (findings := prover.below(written.others, rest.node)):
        under = _under_names(prover, written, findings, None, avoiding=wanted)
        found.append(_wrapped(rules.ADDITIONAL_PROPERTIES_NARROWED, written, rest.node, under))
    return found


def _removed(written: WrittenObject, rest: Rest, name: str, findings: Findings) -> Findings:
    if not findings:
        return []
    if name not in written.declared and name not in written.required:
        return [_wrapped(rules.ADDITIONAL_PROPERTIES_NARROWED, written, rest.node, findings)]
    if rest.node.schema is False:
        return [_wrapped(rules.PROPERTY_REMOVED_FROM_CLOSED_OBJECT, written, rest.node, findings, name=name)]
    if are_soft(findings):
        return findings
    return [_wrapped(rules.PROPERTY_REMOVED_NOT_COVERED, written, rest.node, findings, name=name)]


def _names(prover: "Prover", written: WrittenObject, node: Node) -> Findings:
    """Find names that the reader does not accept."""
    shape = written.shape
    refused = [name for name in written.known if not prover.shapes.accepts(node, name) and written.may_have(name)]
    if refused:
        return [_found(rules.PROPERTY_NAMES_NARROWED, written, node, _objects(shape, having=refused[:1]))]
    names = [written.name(pattern) for pattern in written.patterns]
    names += [written.name()] if written.has_others else []
    for name in names:
        findings = prover.below(name, node)
        if findings:
            inside = [it.inside(lambda sampler, value: sampler.objects(shape, having=[value])) for it in findings]
            return [_wrapped(rules.PROPERTY_NAMES_NARROWED, written, node, inside)]
    return []


def _under_names(
    prover: "Prover",
    written: WrittenObject,
    findings: Findings,
    pattern: str | None,
    avoiding: Properties | None = None,
) -> Findings:
    """Put values under names that match the pattern, or that nobody speaks of."""

    def place(sampler: "Sampler", value: Any) -> Iterator[Any]:
        for name in sampler.names(written, pattern, avoiding):
            yield from sampler.objects(written.shape, given={name: value})

    return [finding.inside(place) for finding in findings]


def _objects(
    shape: Shape, *, having: Iterable[str] = (), without: Iterable[str] = (), count: int | None = None
) -> Candidates:
    def candidates(sampler: "Sampler") -> Iterator[Any]:
        yield from sampler.objects(shape, having=having, without=without, count=count)

    return candidates


def _wrapped(rule: rules.Rule, written: WrittenObject, node: Node, findings: Findings, **facts: Any) -> Finding:
    writer = findings[0].writer if rule is rules.ADDITIONAL_PROPERTIES_NARROWED and findings else written.shape.at
    if rule.name.startswith("PROPERTY_REMOVED") and facts["name"] in written.declared:
        writer = next(layer.named[facts["name"]].at for layer in written.layers if facts["name"] in layer.named)
    return Finding(
        rule=rule, writer=writer or written.shape.at, reader=node.at, facts=facts, candidates=candidates_of(findings)
    )


def _found(rule: rules.Rule, written: WrittenObject, reader: Node, candidates: Candidates, **facts: Any) -> Finding:
    return Finding(rule=rule, writer=written.shape.at, reader=reader.at, facts=facts, candidates=candidates)
