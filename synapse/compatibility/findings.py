"""Findings of a comparison, before they are proven and described; and the mode and the result of a check.

The names of the modes are those of schema registries, which clients send and expect in answers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from itertools import chain
from typing import Any, Final, Protocol

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget
from synapse.compatibility.equivalence import EquivalenceChecker
from synapse.compatibility.rules import Rule
from synapse.compatibility.schema_model import Node, Properties
from synapse.compatibility.shape import Shape, Shapes


class Direction(StrEnum):
    """The direction of a comparison: which of the two schemas reads documents written under the other."""

    BACKWARD = "BACKWARD"
    """The new schema reads what was written under the old one."""

    FORWARD = "FORWARD"
    """The old schema reads what will be written under the new one."""


class Mode(StrEnum):
    """The earlier versions that a new schema is compared with, and the directions."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def is_transitive(self) -> bool:
        """Whether all earlier versions count, not only the last."""
        return self.value.endswith("_TRANSITIVE")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions to compare in."""
        match self.value.removesuffix("_TRANSITIVE"):
            case "BACKWARD":
                return (Direction.BACKWARD,)
            case "FORWARD":
                return (Direction.FORWARD,)
            case "FULL":
                return (Direction.BACKWARD, Direction.FORWARD)
        return ()


class Policy(StrEnum):
    """The policy that decides which differences count as incompatible."""

    LENIENT = "LENIENT"
    """Permits three common changes that STRICT refuses: see `rules.LENIENT`."""

    STRICT = "STRICT"
    """Each document that the writer's schema accepts must be accepted by the reader's."""


class NoWitness(Enum):
    """Stands in place of a missing witness, because JSON's `null` can be a document."""

    NO_WITNESS = "no witness"

    def __repr__(self) -> str:
        return "NO_WITNESS"


NO_WITNESS: Final = NoWitness.NO_WITNESS


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVersion:
    """A version that the new schema is compared with. `references` are the schemas it refers to, by name."""

    version: int
    document: Mapping[str, Any]
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One incompatibility of two schemas.

    `direction` is BACKWARD when the new schema reads, FORWARD when the old one does. `old_pointer` and `new_pointer`
    are JSON Pointers into the two schemas; if only one of them declares a property, the other points at the object
    without it. `witness` is a document that the writer's schema accepts and the reader's refuses; the real validator
    confirmed it. `fix` describes the smallest change of the *new* schema that removes the difference. `version` is the
    earlier version that the new schema is incompatible with. `decided` is false when no witness was found: then neither
    compatibility nor incompatibility is proven.
    """

    rule: str
    direction: Direction
    old_pointer: str
    new_pointer: str
    description: str
    fix: str
    witness: Any = NO_WITNESS
    version: int | None = None

    @property
    def has_witness(self) -> bool:
        """Whether `witness` is a document."""
        return self.witness is not NO_WITNESS

    @property
    def decided(self) -> bool:
        """Whether the schemas are known to be incompatible here; if false, it could not be decided."""
        return self.has_witness


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibilityResult:
    """The result of a check: whether the new schema is compatible, the differences, and those allowed by the LENIENT
    policy."""

    is_compatible: bool
    differences: tuple[Difference, ...] = ()
    allowed: tuple[Difference, ...] = ()


class WrittenNames(Protocol):
    """The names of the properties that objects can have."""

    names: list[Node]

    @property
    def known(self) -> dict[str, None]:
        """The names that are mentioned individually."""

    @property
    def patterns(self) -> dict[str, None]:
        """The patterns of names, when names cannot be listed."""

    def name(self, pattern: str | None = None) -> Shape:
        """Return the shape of the property names, or of the names that match a pattern."""


class SamplerLike(Protocol):
    """The interface of the sampler, which makes values that may prove a finding."""

    def arrays(
        self,
        shape: Shape,
        *,
        at: Mapping[int, Any] | None = None,
        each: Shape | None = None,
        length: int | None = None,
    ) -> Iterator[list[Any]]:
        """Yield arrays with given items at some indexes (`at`), all items of a further shape (`each`), of a given
        length.
        """

    def doubles(self, shape: Shape) -> Iterator[list[Any]]:
        """Return arrays with two equal items."""

    def names(self, written: WrittenNames, pattern: str | None, avoiding: Properties | None) -> Iterator[str]:
        """Yield names that match a pattern, or without a pattern names that neither schema mentions."""

    def numbers(self, shape: Shape, *, near: float | None = None) -> Iterator[Any]:
        """Yield numbers, beginning with those near a bound."""

    def objects(
        self,
        shape: Shape,
        *,
        given: Mapping[str, Any] | None = None,
        having: Iterable[str] = (),
        without: Iterable[str] = (),
        count: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield objects with given values, having and lacking some names, with `count` properties; small ones first."""

    def strings(self, shape: Shape, *, near: int | None = None) -> Iterator[Any]:
        """Yield strings, beginning with those of a length near `near`."""

    def values(self, shape: Shape, *, mask: int = keywords.ANY) -> Iterator[Any]:
        """Yield values of these types that the shape's own schemas accept."""


class SatisfiabilityCheckerLike(Protocol):
    """The interface of the satisfiability check, which finds shapes without any value."""

    def is_empty(self, shape: Shape) -> bool:
        """Say whether no value can be of this shape."""


class ProverLike(Protocol):
    """The interface of the prover for the modules of the single types."""

    budget: Budget
    listed: dict[Shape, list[Any] | None]
    equivalence: EquivalenceChecker
    shapes: Shapes
    tells_integers: bool

    @property
    def satisfiability(self) -> SatisfiabilityCheckerLike:
        """The check for shapes without any value."""

    def below(self, shape: Shape, reader: Node) -> "Findings":
        """Return the findings for a part of the value: a property, an item or a name."""

    def excludes(self, shape: Shape, node: Node) -> bool:
        """Say whether it is proven that the node accepts no value of the shape."""

    def excludes_below(self, shape: Shape, node: Node) -> bool:
        """Say whether it is proven that the node accepts no value of a part: a property, an item or a name."""

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

    `candidates` makes values that may prove it: at first for the place of the finding; each enclosing level then puts
    them into its own values. This is slow, so it is only done when a witness is needed.
    """

    rule: Rule
    writer: str
    reader: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    candidates: Candidates = no_candidates

    @classmethod
    def of(
        cls, rule: Rule, shape: Shape, reader: Node | None, candidates: Candidates = no_candidates, **facts: Any
    ) -> "Finding":
        """Return the finding that values of a shape break a rule at a node of the reader."""
        return cls(rule=rule, writer=shape.at, reader=reader.at if reader else "", facts=facts, candidates=candidates)

    def inside(self, place: Callable[["SamplerLike", Any], Iterable[Any]]) -> "Finding":
        """Return the finding for the enclosing value; `place` yields enclosing values with a given part."""
        inner = self.candidates
        return replace(
            self, candidates=lambda sampler: chain.from_iterable(place(sampler, value) for value in inner(sampler))
        )


Findings = list[Finding]


def only_lenient(findings: Findings) -> bool:
    """Say whether the LENIENT policy permits all of these findings."""
    return all(finding.rule.is_lenient for finding in findings)


def nearest_to_compatible(results: Iterable[Findings]) -> Findings:
    """Return the result that is closest to compatible."""
    return min(results, key=lambda findings: (not only_lenient(findings), len(findings)))


def candidates_of(findings: Findings) -> Candidates:
    """Return the candidates of all findings."""
    return lambda sampler: chain.from_iterable(finding.candidates(sampler) for finding in findings)
