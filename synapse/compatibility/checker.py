"""Check that a new schema is safe after the earlier ones, by comparing pairs of a writer's and a reader's schema."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.documents import Library, Unusable, find_reference_obstacle
from synapse.compatibility.findings import (
    NO_WITNESS,
    CompatibilityResult,
    Difference,
    Direction,
    EarlierVersion,
    Finding,
    Findings,
    Mode,
    Policy,
)
from synapse.compatibility.prover import Prover
from synapse.compatibility.rules import Rule
from synapse.compatibility.shape import Shape
from synapse.compatibility.witness import Sampler, WitnessVerifier

_SHARE_OF_THE_PROOF = 0.6
"""The share of the steps that the proof may take; the rest is for witnesses."""
MOST_FINDINGS = 100
_TOO_MUCH_WORK = "it would take too much work"
_NOT_COMPILED = "a schema cannot be compiled"

Proven = tuple[Finding, Any]


def compare(writer: Library, reader: Library, budget: Budget, *, proves: Callable[[Rule], bool]) -> list[Proven]:
    """Return the findings that keep the reader from accepting every document that the writer accepts.

    What is not proven when the budget is spent is reported as undecided. `proves` says whether a witness is needed for
    a rule.
    """
    if writer.equals_literally(reader):
        return []
    obstacle = _find_obstacle(writer, reader, budget)
    if obstacle is not None:
        return [(_undecided_finding(obstacle), NO_WITNESS)]
    documents = *writer.documents, *reader.documents
    prover = Prover(budget, tells_integers=any(document.draft == keywords.DRAFT_4 for document in documents))
    findings = _prove(prover, writer, reader)
    if not any(proves(finding.rule) for finding in findings):
        return [(finding, NO_WITNESS) for finding in _without_duplicates(findings)]
    if writer.validator is None or reader.validator is None:
        return [(_undecided_finding(_NOT_COMPILED), NO_WITNESS)]
    verifier = WitnessVerifier(writer.validator, reader.validator, budget)
    return list(_with_witnesses(prover, verifier, writer, _without_duplicates(findings), proves))


def _find_obstacle(writer: Library, reader: Library, budget: Budget) -> str | None:
    """Return the reason that two schemas cannot be compared, `None` if they can. Only new schemas are compiled: earlier
    versions were compiled when they were registered.
    """
    try:
        trouble = find_reference_obstacle(writer, budget) or find_reference_obstacle(reader, budget)
        budget.spend(writer.main.root.cost_of_compiling + reader.main.root.cost_of_compiling)
        are_fine = all(it.validator is not None for it in (writer, reader) if it.is_new)
        return trouble or (None if are_fine else _NOT_COMPILED)
    except OutOfBudget:
        return _TOO_MUCH_WORK
    except (TypeError, AttributeError, ValueError):
        # Raised only for documents that are not schemas.
        return _NOT_COMPILED


def _prove(prover: Prover, writer: Library, reader: Library) -> Findings:
    budget = prover.budget
    try:
        with budget.limit(int(budget.left * _SHARE_OF_THE_PROOF)):
            return prover.within(prover.shapes.of([writer.main.root]), reader.main.root)
    except OutOfBudget:
        return [_undecided_finding(_TOO_MUCH_WORK)]
    except RecursionError:
        return [_undecided_finding("it is nested too deep")]


def _with_witnesses(
    prover: Prover,
    verifier: WitnessVerifier,
    writer: Library,
    findings: Sequence[Finding],
    proves: Callable[[Rule], bool],
) -> Iterator[Proven]:
    sampler = Sampler(prover)
    shape = _whole_shape(prover, writer)
    has_any = False
    for finding in sorted(findings, key=lambda finding: finding.rule.is_lenient):
        if not proves(finding.rule):
            yield finding, NO_WITNESS
            continue
        witness = verifier.find_witness(finding, sampler)
        if witness is NO_WITNESS and not has_any and shape is not None:
            anything = Finding(
                rule=finding.rule, writer="", reader="", candidates=lambda sampler: sampler.values(shape)
            )
            witness = verifier.find_witness(anything, sampler)
        has_any = has_any or witness is not NO_WITNESS
        yield finding, witness


def _whole_shape(prover: Prover, writer: Library) -> Shape | None:
    try:
        return prover.shapes.of([writer.main.root])
    except OutOfBudget:
        return None


def _without_duplicates(findings: Findings) -> list[Finding]:
    seen: dict[tuple[str, str, str, str], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.rule.name, finding.writer, finding.reader, repr(finding.facts)), finding)
        if len(seen) >= MOST_FINDINGS:
            break
    return list(seen.values())


def _undecided_finding(reason: str) -> Finding:
    return Finding(rule=Rule.CANNOT_DECIDE, writer="", reader="", facts={"reason": reason})


STEPS = 20_000
"""The limit on the steps of comparing with one version in one direction."""
MOST_STEPS = 3 * STEPS
"""The limit on the steps of a check, for any number of versions."""
_TOO_LATE = "comparing with the versions after it took all the work there is"
_OTHER_WORDS = "The same in other words."
_NO_REFERENCES: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

Schemas = Mapping[str, Mapping[str, Any]]


def check(
    candidate: Mapping[str, Any],
    earlier: Sequence[EarlierVersion],
    *,
    mode: Mode,
    policy: Policy = Policy.LENIENT,
    references: Schemas = _NO_REFERENCES,
    steps: int = STEPS,
) -> CompatibilityResult:
    """Return whether the candidate may follow the earlier versions (oldest first).

    The earlier versions must be valid schemas; a candidate that is not valid is compatible with none. `references` are
    the schemas that the candidate's `$ref`s name. `steps` limits the work of comparing with one version in one
    direction; what is undecided by then counts as incompatible. The whole check takes at most three times the usual
    limit. Steps are counted, not timed, so the answer depends only on the schemas.
    """
    budget = Budget(MOST_STEPS)
    found: list[Difference] = []
    allowed: dict[tuple[str, ...], Difference] = {}
    told: set[tuple[object, ...]] = set()
    versions = [] if mode is Mode.NONE else earlier if mode.is_transitive else earlier[-1:]
    new = _make_library(candidate, references, is_new=True)
    for version in reversed(versions):
        old = _make_library(version.document, version.references) if budget.left else _TOO_LATE
        for direction in mode.directions:
            # Allowed differences get a witness only for the newest version.
            proves = Rule.is_refused if policy is Policy.LENIENT and version is not versions[-1] else Rule.is_any
            with budget.limit(steps):
                compared = list(_compare_direction(old, new, direction, budget, proves))
            for finding, witness in compared:
                is_refused = policy is Policy.STRICT or finding.rule.is_refused()
                # Most allowed differences are equal for all versions, so each is described once, because that takes
                # time.
                same = direction, finding.rule.name, finding.writer, finding.reader, tuple(finding.facts.items())
                if not is_refused and same in told:
                    continue
                difference = _describe_difference(finding, witness, direction, version.version)
                if is_refused:
                    found.append(difference)
                else:
                    told.add(same)
                    allowed.setdefault((direction, difference.rule, difference.description), difference)
    return CompatibilityResult(is_compatible=not found, differences=tuple(found), allowed=tuple(allowed.values()))


def find_obstacle(document: Mapping[str, Any], references: Schemas = _NO_REFERENCES) -> str | None:
    """Return the reason that no version could follow a schema, not even the schema itself with another description;
    `None` when one could.
    """
    old = _make_library(document, references)
    new = _make_library({**document, "description": _OTHER_WORDS}, references, is_new=True)
    if isinstance(old, str) or isinstance(new, str):
        return old if isinstance(old, str) else str(new)
    for finding, _ in compare(old, new, Budget(STEPS), proves=lambda _: False):
        if finding.rule is Rule.CANNOT_DECIDE:
            return str(finding.facts["reason"])
        if finding.rule.is_refused():
            name = finding.facts.get("name", finding.rule.name)
            return f"what “{name}” means at “{finding.reader}” is only known when a document is read"
    return None


def _make_library(document: Mapping[str, Any], references: Schemas, *, is_new: bool = False) -> Library | str:
    """Return the schema, prepared for comparison, or the reason that it cannot be compared."""
    try:
        return Library(document, references, is_new=is_new)
    except Unusable as error:
        return str(error)


def _compare_direction(
    old: Library | str, new: Library | str, direction: Direction, budget: Budget, proves: Callable[[Rule], bool]
) -> Iterator[tuple[Finding, Any]]:
    if isinstance(old, str) or isinstance(new, str):
        reason = old if isinstance(old, str) else new
        yield Finding(rule=Rule.CANNOT_DECIDE, writer="", reader="", facts={"reason": reason}), NO_WITNESS
    elif direction is Direction.BACKWARD:
        yield from compare(old, new, budget, proves=proves)
    else:
        yield from compare(new, old, budget, proves=proves)


def _describe_difference(finding: Finding, witness: Any, direction: Direction, version: int) -> Difference:
    is_backward = direction is Direction.BACKWARD
    words = {
        "writer": "the old schema" if is_backward else "the new schema",
        "reader": "the new schema" if is_backward else "the old schema",
        **finding.facts,
    }
    rule = finding.rule
    return Difference(
        rule=rule.name,
        direction=direction,
        old_pointer=finding.writer if is_backward else finding.reader,
        new_pointer=finding.reader if is_backward else finding.writer,
        description=_fill_template(rule.description, words),
        fix=_fill_template(rule.fix_of_reader if is_backward else rule.fix_of_writer, words),
        witness=witness,
        version=version,
    )


def _fill_template(template: str, words: Mapping[str, Any]) -> str:
    text = template.format_map(words)
    return text[0].upper() + text[1:]
