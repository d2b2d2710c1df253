"""What a comparison finds, before it is proven and worded."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from synapse.compatibility.rules import Rule

if TYPE_CHECKING:
    from synapse.compatibility.witness import Sampler

Candidates = Callable[["Sampler"], Iterator[Any]]


def no_candidates(sampler: "Sampler") -> Iterator[Any]:
    """Return no values."""
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that does not hold, and where.

    `candidates` makes values that may show it: of the place where it was found, until those above put them into
    theirs. They cost time, so they are made only when a witness is looked for.
    """

    rule: Rule
    writer: str
    reader: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    candidates: Candidates = no_candidates

    def inside(self, place: Callable[["Sampler", Any], Iterable[Any]]) -> "Finding":
        """Return the finding as seen from above; `place` puts a value where it belongs."""
        inner = self.candidates

        def candidates(sampler: "Sampler") -> Iterator[Any]:
            for value in inner(sampler):
                yield from place(sampler, value)

        return replace(self, candidates=candidates)


Findings = list[Finding]


def are_soft(findings: Findings) -> bool:
    """Say whether the LENIENT policy would let all of these through."""
    return all(finding.rule.is_lenient for finding in findings)


def fewest(results: Iterable[Findings]) -> Findings:
    """Return the result that lies nearest to compatible."""
    return min(results, key=lambda findings: (not are_soft(findings), len(findings)))


def candidates_of(findings: Findings) -> Candidates:
    """Return the candidates of all findings."""

    def candidates(sampler: "Sampler") -> Iterator[Any]:
        for finding in findings:
            yield from finding.candidates(sampler)

    return candidates
