"""Findings of a comparison, before they are proven and worded."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget
from synapse.compatibility.equivalence import EquivalenceChecker
from synapse.compatibility.rules import Rule
from synapse.compatibility.schema_model import Node, Properties
from synapse.compatibility.shape import Shape, Shapes


class WrittenNames(Protocol):
    """The names of the properties that objects can have."""

    names: list[Node]

    @property
    def known(self) -> dict[str, None]:
        """The names that are spoken of one by one."""

    @property
    def patterns(self) -> dict[str, None]:
        """The patterns of names, when names cannot be listed."""

    def name(self, pattern: str | None = None) -> Shape:
        """Return the shape of the property names, or of the names that match a pattern."""


class SamplerLike(Protocol):
    """The sampler: makes values that may prove a finding."""

    def arrays(
        self,
        shape: Shape,
        *,
        at: Mapping[int, Any] | None = None,
        each: Shape | None = None,
        length: int | None = None,
    ) -> Iterator[list[Any]]:
        """Return arrays: with given items at some places, all items of a further shape, of a given length."""

    def doubles(self, shape: Shape) -> Iterator[list[Any]]:
        """Return arrays with two equal items."""

    def names(self, written: WrittenNames, pattern: str | None, avoiding: Properties | None) -> Iterator[str]:
        """Return names that match a pattern, or (no pattern) that neither schema speaks of."""

    def numbers(self, shape: Shape, *, near: float | None = None) -> Iterator[Any]:
        """Return numbers, beginning with numbers near a bound."""

    def objects(
        self,
        shape: Shape,
        *,
        given: Mapping[str, Any] | None = None,
        having: Iterable[str] = (),
        without: Iterable[str] = (),
        count: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Return objects: with given values, having and lacking some names, of a size; small ones first."""

    def strings(self, shape: Shape, *, near: int | None = None) -> Iterator[Any]:
        """Return strings, beginning with strings of about a length."""

    def values(self, shape: Shape, *, mask: int = keywords.ANY) -> Iterator[Any]:
        """Return values of the shape that its own schemas accept, of these types."""


class SatisfiabilityCheckerLike(Protocol):
    """The satisfiability check: finds shapes that have no value."""

    def is_empty(self, shape: Shape) -> bool:
        """Say whether no value can be of this shape."""


class ProverLike(Protocol):
    """The operations of the prover on parts of a value that the modules for each type use."""

    budget: Budget
    listed: dict[Shape, list[Any] | None]
    equivalence: EquivalenceChecker
    shapes: Shapes
    tells_integers: bool

    @property
    def satisfiability(self) -> SatisfiabilityCheckerLike:
        """Which shapes have no value."""

    def below(self, shape: Shape, reader: Node) -> "Findings":
        """Return the findings for a part of the value: a property, an item, a name."""

    def excludes(self, shape: Shape, node: Node) -> bool:
        """Say whether provably no value of the shape is accepted by the node."""

    def excludes_below(self, shape: Shape, node: Node) -> bool:
        """Say whether the node refuses all values of a part: a property, an item, a name."""

    def shape(self, nodes: Iterable[Node], refused_by: Iterable[Node] = ()) -> Shape:
        """Return the shape of a value that these nodes accept and refuse."""

    def within(self, shape: Shape, reader: Node) -> "Findings":
        """Return the findings that keep the reader from accepting all values of the shape."""


Candidates = Callable[["SamplerLike"], Iterator[Any]]


def no_candidates(sampler: "SamplerLike") -> Iterator[Any]:
    """Return no values."""
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violated rule, and its place.

    `candidates` makes values that may prove it: first for the place of the finding; each enclosing level puts them into
    its own values. They cost time, so they are made only when a witness is looked for.
    """

    rule: Rule
    writer: str
    reader: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    candidates: Candidates = no_candidates

    def inside(self, place: Callable[["SamplerLike", Any], Iterable[Any]]) -> "Finding":
        """Return the finding as seen from above; `place` puts a value where it belongs."""
        inner = self.candidates

        def candidates(sampler: "SamplerLike") -> Iterator[Any]:
            for value in inner(sampler):
                yield from place(sampler, value)

        return replace(self, candidates=candidates)


Findings = list[Finding]


def only_lenient(findings: Findings) -> bool:
    """Say whether the LENIENT policy would let all of these through."""
    return all(finding.rule.is_lenient for finding in findings)


def nearest_to_compatible(results: Iterable[Findings]) -> Findings:
    """Return the result that lies nearest to compatible."""
    return min(results, key=lambda findings: (not only_lenient(findings), len(findings)))


def candidates_of(findings: Findings) -> Candidates:
    """Return the candidates of all findings."""

    def candidates(sampler: "SamplerLike") -> Iterator[Any]:
        for finding in findings:
            yield from finding.candidates(sampler)

    return candidates
