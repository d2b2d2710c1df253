"""Compare constraints on objects: required properties, and the values of each property."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from synapse.compatibility import keywords, scalars, validators
from synapse.compatibility.findings import (
    Candidates,
    Finding,
    Findings,
    ProverLike,
    SamplerLike,
    candidates_of,
    only_lenient,
)
from synapse.compatibility.rules import Rule
from synapse.compatibility.scalars import raise_limit_fix
from synapse.compatibility.schema_model import Node, Properties, Rest
from synapse.compatibility.shape import Shape, least_of

_LAYERS_A_STEP = 4
_LITERAL_START = re.compile(r"\^((?:[A-Za-z0-9_/:@-]|\\[./-])+)(?![*+?{])")


class WrittenObject:
    """The constraints of a shape on objects. *Others* are properties that no schema names and no pattern matches."""

    def __init__(self, prover: ProverLike, shape: Shape) -> None:
        self._prover = prover
        self.shape = shape
        self.layers = shape.properties
        prover.budget.spend(len(self.layers) // _LAYERS_A_STEP)
        required = [name for layer in self.layers for name in layer.required]
        # The properties that all alternatives of a union require.
        self.required = self.with_dependents([*required, *sorted(shape.tags.required)])
        self.least = max([len(self.required), *(layer.least for layer in self.layers)])
        most: int | None = None
        for layer in self.layers:
            most = least_of(most, layer.most)
        self.most = most
        self.names = [node for layer in self.layers for node in layer.names]

    @cached_property
    def declared(self) -> dict[str, None]:
        """The names that some schema declares, in order."""
        return dict.fromkeys(name for layer in self.layers for name in layer.named)

    @cached_property
    def listed(self) -> dict[str, None] | None:
        """All possible names, `None` when they cannot be listed."""
        if self.most is not None and self.most <= len(self.required):
            return self.required
        if not self.names:
            return None
        names = scalars.all_of(self._prover, self.name())
        return None if names is None else dict.fromkeys(names)

    @cached_property
    def known(self) -> dict[str, None]:
        """The names that are mentioned individually."""
        if self.listed is not None:
            return self.listed
        return {**self.declared, **self.required, **dict.fromkeys(n for it in self.layers for n in it.dependents)}

    @cached_property
    def patterns(self) -> dict[str, None]:
        """The patterns of names, when names cannot be listed."""
        if self.listed is not None:
            return {}
        return dict.fromkeys(pattern for layer in self.layers for pattern in layer.patterns)

    @cached_property
    def others(self) -> Shape:
        """The shape of the value of a property that no schema names and no pattern matches."""
        return self._prover.shapes.of([rest.node for layer in self.layers for rest in layer.rests])

    @cached_property
    def has_others(self) -> bool:
        """Whether there can be other properties."""
        return self.listed is None and not self._prover.satisfiability.is_empty(self.others)

    def with_dependents(self, names: object) -> dict[str, None]:
        """Return names, and the names that they require by `dependentRequired`."""
        found: dict[str, None] = {}
        waiting = list(names)  # type: ignore[call-overload]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += [needed for layer in self.layers for needed in layer.dependents.get(name, ())]
        return found

    def part(self, name: str) -> Shape:
        """Return the shape of the value of a property."""
        return self._prover.shapes.of(node for layer in self.layers for node in nodes_at(layer, name))

    def declares_same(self, name: str, node: Node) -> bool:
        """Say whether a property is declared with an identical schema: the usual case, and a quick proof."""
        if node.text is None:
            return False
        own = (layer.named.get(name) for layer in self.layers)
        return any(it is not None and it.text == node.text and it.draft == node.draft for it in own)

    def part_of(self, pattern: str) -> Shape:
        """Return the shape of the value of a property whose name matches a pattern of this shape."""
        nodes = [layer.patterns[pattern] for layer in self.layers if pattern in layer.patterns]
        return self._prover.shapes.of(nodes)

    def name(self, pattern: str | None = None) -> Shape:
        """Return the shape of the property names, or of the names that match a pattern."""
        kind = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
        return self._prover.shapes.of([Node.from_schema(kind), *self.names])

    def may_have(self, name: str) -> bool:
        """Say whether there can be a property of this name."""
        if self.most == 0 or (self.listed is not None and name not in self.listed):
            return False
        if any(self._prover.shapes.accepts(node, name) is False for node in self.names):
            return False
        return not self._prover.satisfiability.is_empty(self.part(name))

    def count(self) -> int | None:
        """Return the largest possible number of properties, `None` without a limit."""
        if self.patterns or self.has_others:
            return self.most
        return least_of(self.most, sum(map(self.may_have, self.known)))


def nodes_at(layer: Properties, name: str) -> list[Node]:
    """Return the schemas that one layer applies to the value of a property."""
    nodes = [layer.named[name]] if name in layer.named else []
    nodes += [node for pattern, node in layer.patterns.items() if validators.text_matches(pattern, name)]
    return nodes + [rest.node for rest in layer.rests if covers(rest, name)]


def covers(rest: Rest, name: str) -> bool:
    """Say whether a rest applies to a property."""
    return name not in rest.names and not any(validators.text_matches(pattern, name) for pattern in rest.patterns)


def exclude_each_other(one: str, other: str) -> bool:
    """Say whether no name can match both patterns, judged by their literal beginnings."""
    if "|" in one or "|" in other:
        return False
    first, second = _LITERAL_START.match(one), _LITERAL_START.match(other)
    if not first or not second:
        return False
    a, b = first[1].replace("\\", ""), second[1].replace("\\", "")
    length = min(len(a), len(b))
    return a[:length] != b[:length]


def within(prover: ProverLike, shape: Shape, reader: Node) -> Findings:
    """Return the findings that keep the reader from accepting all objects of the shape."""
    wanted = reader.facets.properties
    if wanted is None:
        return []
    written = WrittenObject(prover, shape)
    found = list(_presence_findings(written, reader, wanted))
    if written.most == 0:
        return found
    for name, node in wanted.named.items():
        prover.budget.spend()
        if not written.declares_same(name, node):
            found += _named_findings(prover, written, wanted, name, node)
    for pattern, node in wanted.patterns.items():
        found += _pattern_findings(prover, written, pattern, node)
    for rest in wanted.rests:
        found += _rest_findings(prover, written, wanted, rest)
    for node in wanted.names:
        found += _name_findings(prover, written, node)
    return found


def are_impossible(prover: ProverLike, shape: Shape) -> bool:
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


def _presence_findings(written: WrittenObject, reader: Node, wanted: Properties) -> Iterator[Finding]:
    """Yield findings for required properties and limits on their number that the shape does not meet."""
    shape = written.shape
    for name in wanted.required:
        if name not in written.required:
            yield Finding.of(
                Rule.REQUIRED_PROPERTY_ADDED, written.shape, reader, _objects_with(shape, without=[name]), name=name
            )
    if wanted.least > written.least:
        facts: dict[str, Any] = {"value": wanted.least, "other": written.least}
        yield Finding.of(
            Rule.MIN_PROPERTIES_RAISED, written.shape, reader, _objects_with(shape, count=wanted.least - 1), **facts
        )
    most = None if wanted.most is None else written.count()
    if wanted.most is not None and (most is None or most > wanted.most):
        facts = {"value": wanted.most, "change": raise_limit_fix("maxProperties", most)}
        yield Finding.of(
            Rule.MAX_PROPERTIES_LOWERED, written.shape, reader, _objects_with(shape, count=wanted.most + 1), **facts
        )
    for name, needed in wanted.dependents.items():
        if written.may_have(name):
            there = written.with_dependents([*written.required, name])
            for other in needed:
                if other not in there:
                    candidates = _objects_with(shape, having=[name], without=[other])
                    yield Finding.of(Rule.DEPENDENCY_ADDED, written.shape, reader, candidates, name=name, other=other)


def _named_findings(prover: ProverLike, written: WrittenObject, wanted: Properties, name: str, node: Node) -> Findings:
    part = written.part(name)
    is_open = (
        part.is_anything and name not in wanted.required and not (name in written.required or name in written.declared)
    )
    if is_open and node.facets.types != keywords.ANY and written.may_have(name):
        # The usual case is decided without comparing the schemas, which waits until a witness is needed.
        return [
            Finding.of(
                Rule.PROPERTY_ADDED_TO_OPEN_OBJECT,
                written.shape,
                node,
                _candidates_for(prover, written, name, node),
                name=name,
            )
        ]
    findings = _property_findings(prover, written, name, part, node)
    if not findings or name in written.declared:
        return findings
    if is_open:
        return [_wrap(Rule.PROPERTY_ADDED_TO_OPEN_OBJECT, written, node, findings, name=name)]
    if only_lenient(findings):
        return findings
    return [_wrap(Rule.PROPERTY_ADDED_NOT_COVERED, written, node, findings, name=name)]


def _candidates_for(prover: ProverLike, written: WrittenObject, name: str, node: Node) -> Candidates:
    def candidates(sampler: SamplerLike) -> Iterator[Any]:
        findings = _property_findings(prover, written, name, written.part(name), node)
        yield from candidates_of(findings)(sampler)

    return candidates


def _property_findings(prover: ProverLike, written: WrittenObject, name: str, part: Shape, node: Node) -> Findings:
    findings = prover.below(part, node)
    if not findings or not written.may_have(name):
        return []
    shape = written.shape
    return [it.inside(lambda sampler, value: sampler.objects(shape, given={name: value})) for it in findings]


def _pattern_findings(prover: ProverLike, written: WrittenObject, pattern: str, node: Node) -> Findings:
    """Find conflicts in properties whose names match a pattern of the reader."""
    found: Findings = []
    for name in written.known:
        prover.budget.spend()
        if validators.text_matches(pattern, name):
            found += _property_findings(prover, written, name, written.part(name), node)
    parts = [written.part_of(own) for own in written.patterns if own == pattern]
    if not parts:
        parts = [written.part_of(own) for own in written.patterns if not exclude_each_other(own, pattern)]
        parts += [written.others] if written.has_others else []
    for part in parts:
        findings = prover.below(part, node)
        if only_lenient(findings):
            found += _under_names(prover, written, findings, pattern)
        else:
            under = _under_names(prover, written, findings, pattern)
            found.append(_wrap(Rule.PATTERN_PROPERTY_ADDED, written, node, under, name=pattern))
    return found


def _rest_findings(prover: ProverLike, written: WrittenObject, wanted: Properties, rest: Rest) -> Findings:
    """Find conflicts in properties that the reader does not name."""
    found: Findings = []
    for name in written.known:
        prover.budget.spend()
        if covers(rest, name):
            findings = _property_findings(prover, written, name, written.part(name), rest.node)
            found += _removal_findings(written, rest, name, findings)
    for pattern in written.patterns:
        if pattern in rest.patterns:
            continue
        findings = prover.below(written.part_of(pattern), rest.node)
        under = _under_names(prover, written, findings, pattern)
        if only_lenient(findings):
            found += under
        else:
            found.append(_wrap(Rule.PATTERN_PROPERTY_REMOVED, written, rest.node, under, name=pattern))
    if written.has_others and (findings := prover.below(written.others, rest.node)):
        under = _under_names(prover, written, findings, None, avoiding=wanted)
        found.append(_wrap(Rule.ADDITIONAL_PROPERTIES_NARROWED, written, rest.node, under))
    return found


def _removal_findings(written: WrittenObject, rest: Rest, name: str, findings: Findings) -> Findings:
    if not findings:
        return []
    if name not in written.declared and name not in written.required:
        return [_wrap(Rule.ADDITIONAL_PROPERTIES_NARROWED, written, rest.node, findings)]
    if rest.node.schema is False:
        return [_wrap(Rule.PROPERTY_REMOVED_FROM_CLOSED_OBJECT, written, rest.node, findings, name=name)]
    if only_lenient(findings):
        return findings
    return [_wrap(Rule.PROPERTY_REMOVED_NOT_COVERED, written, rest.node, findings, name=name)]


def _name_findings(prover: ProverLike, written: WrittenObject, node: Node) -> Findings:
    """Find names that the reader does not accept."""
    shape = written.shape
    refused = [name for name in written.known if not prover.shapes.accepts(node, name) and written.may_have(name)]
    if refused:
        return [Finding.of(Rule.PROPERTY_NAMES_NARROWED, written.shape, node, _objects_with(shape, having=refused[:1]))]
    names = [written.name(pattern) for pattern in written.patterns]
    names += [written.name()] if written.has_others else []
    for name in names:
        findings = prover.below(name, node)
        if findings:
            inside = [it.inside(lambda sampler, value: sampler.objects(shape, having=[value])) for it in findings]
            return [_wrap(Rule.PROPERTY_NAMES_NARROWED, written, node, inside)]
    return []


def _under_names(
    prover: ProverLike,
    written: WrittenObject,
    findings: Findings,
    pattern: str | None,
    avoiding: Properties | None = None,
) -> Findings:
    """Return the findings for the enclosing object: values get names that match the pattern, or without a pattern names
    that no schema mentions.
    """

    def place(sampler: SamplerLike, value: Any) -> Iterator[Any]:
        for name in sampler.names(written, pattern, avoiding):
            yield from sampler.objects(written.shape, given={name: value})

    return [finding.inside(place) for finding in findings]


def _objects_with(
    shape: Shape, *, having: Iterable[str] = (), without: Iterable[str] = (), count: int | None = None
) -> Candidates:
    return lambda sampler: sampler.objects(shape, having=having, without=without, count=count)


def _wrap(rule: Rule, written: WrittenObject, node: Node, findings: Findings, **facts: Any) -> Finding:
    writer = findings[0].writer if rule is Rule.ADDITIONAL_PROPERTIES_NARROWED and findings else written.shape.at
    if rule.name.startswith("PROPERTY_REMOVED") and facts["name"] in written.declared:
        writer = next(layer.named[facts["name"]].at for layer in written.layers if facts["name"] in layer.named)
    return Finding(
        rule=rule, writer=writer or written.shape.at, reader=node.at, facts=facts, candidates=candidates_of(findings)
    )
