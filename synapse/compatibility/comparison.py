"""Two schemas, one reading what the other writes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from synapse.compatibility import keywords, rules
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.documents import Library
from synapse.compatibility.findings import Finding, Findings
from synapse.compatibility.prover import Prover
from synapse.compatibility.reference_cycles import trouble_with
from synapse.compatibility.result import NO_WITNESS
from synapse.compatibility.rules import Rule
from synapse.compatibility.samples import Sampler
from synapse.compatibility.shape import Shape
from synapse.compatibility.witness import Court

_SHARE_OF_THE_PROOF = 0.6
"""How many of the steps a proof may take; what is left is for witnesses."""
MOST_FINDINGS = 100
_TOO_MUCH_WORK = "it would take too much work"
_NOT_COMPILED = "a schema cannot be compiled"

Proven = tuple[Finding, Any]


def compare(writer: Library, reader: Library, budget: Budget, *, proves: Callable[[Rule], bool]) -> list[Proven]:
    """Return what keeps the reader from accepting all that the writer accepts.

    What is not known when the budget is spent is not decided. `proves` says for which rules a witness is wanted.
    """
    if writer.says_the_same_as(reader):
        return []
    obstacle = _obstacle(writer, reader, budget)
    if obstacle is not None:
        return [(_undecided(obstacle), NO_WITNESS)]
    prover = Prover(budget, tells_integers=_tells_integers(writer, reader))
    findings = _findings(prover, writer, reader)
    if not any(proves(finding.rule) for finding in findings):
        return [(finding, NO_WITNESS) for finding in _distinct(findings)]
    if writer.validator is None or reader.validator is None:
        return [(_undecided(_NOT_COMPILED), NO_WITNESS)]
    court = Court(writer.validator, reader.validator, budget)
    return list(_with_witnesses(prover, court, writer, _distinct(findings), proves))


def _obstacle(writer: Library, reader: Library, budget: Budget) -> str | None:
    """Return why the two cannot be compared. Earlier versions were compiled when they came; a new one is now."""
    try:
        trouble = trouble_with(writer, budget) or trouble_with(reader, budget)
        budget.spend(writer.main.root.cost_of_compiling + reader.main.root.cost_of_compiling)
        are_fine = all(it.validator is not None for it in (writer, reader) if it.is_new)
        return trouble or (None if are_fine else _NOT_COMPILED)
    except OutOfBudget:
        return _TOO_MUCH_WORK
    except (TypeError, AttributeError, ValueError):
        # Reading stumbles only over what is no schema.
        return _NOT_COMPILED


def _findings(prover: Prover, writer: Library, reader: Library) -> Findings:
    budget = prover.budget
    try:
        with budget.limited(int(budget.left * _SHARE_OF_THE_PROOF)):
            return prover.within(prover.shapes.of([writer.main.root]), reader.main.root)
    except OutOfBudget:
        return [_undecided(_TOO_MUCH_WORK)]
    except RecursionError:
        return [_undecided("it is nested too deep")]


def _with_witnesses(
    prover: Prover, court: Court, writer: Library, findings: Sequence[Finding], proves: Callable[[Rule], bool]
) -> Iterator[Proven]:
    sampler = Sampler(prover)
    shape = _whole(prover, writer)
    has_any = False
    for finding in sorted(findings, key=lambda finding: finding.rule.is_lenient):
        if not proves(finding.rule):
            yield finding, NO_WITNESS
            continue
        witness = court.witness(finding, sampler)
        if witness is NO_WITNESS and not has_any and shape is not None:
            anything = Finding(
                rule=finding.rule, writer="", reader="", candidates=lambda sampler: sampler.values(shape)
            )
            witness = court.witness(anything, sampler)
        has_any = has_any or witness is not NO_WITNESS
        yield finding, witness


def _whole(prover: Prover, writer: Library) -> Shape | None:
    try:
        return prover.shapes.of([writer.main.root])
    except OutOfBudget:
        return None


def _distinct(findings: Findings) -> list[Finding]:
    seen: dict[tuple[str, str, str, str], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.rule.name, finding.writer, finding.reader, repr(finding.facts)), finding)
        if len(seen) >= MOST_FINDINGS:
            break
    return list(seen.values())


def _tells_integers(*libraries: Library) -> bool:
    return any(document.draft == keywords.DRAFT_4 for library in libraries for document in library.documents)


def _undecided(reason: str) -> Finding:
    return Finding(rule=rules.CANNOT_DECIDE, writer="", reader="", facts={"reason": reason})
