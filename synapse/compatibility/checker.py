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
"""How many of the steps a proof may take; what is left is for witnesses."""
MOST_FINDINGS = 100
_TOO_MUCH_WORK = "it would take too much work"
_NOT_COMPILED = "a schema cannot be compiled"

Proven = tuple[Finding, Any]


def compare(writer: Library, reader: Library, budget: Budget, *, proves: Callable[[Rule], bool]) -> list[Proven]:
    """Return the findings that keep the reader from accepting every document that the writer accepts.

    A question that is still open when the budget is spent stays undecided. `proves` says for which rules a witness is
    wanted.
    """
    if writer.equals_literally(reader):
        return []
    obstacle = _obstacle(writer, reader, budget)
    if obstacle is not None:
        return [(_undecided(obstacle), NO_WITNESS)]
    documents = *writer.documents, *reader.documents
    prover = Prover(budget, tells_integers=any(document.draft == keywords.DRAFT_4 for document in documents))
    findings = _findings(prover, writer, reader)
    if not any(proves(finding.rule) for finding in findings):
        return [(finding, NO_WITNESS) for finding in _distinct(findings)]
    if writer.validator is None or reader.validator is None:
        return [(_undecided(_NOT_COMPILED), NO_WITNESS)]
    verifier = WitnessVerifier(writer.validator, reader.validator, budget)
    return list(_with_witnesses(prover, verifier, writer, _distinct(findings), proves))


def _obstacle(writer: Library, reader: Library, budget: Budget) -> str | None:
    """Return why the two cannot be compared. Earlier versions were compiled when they came; a new one is now."""
    try:
        trouble = find_reference_obstacle(writer, budget) or find_reference_obstacle(reader, budget)
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
    prover: Prover,
    verifier: WitnessVerifier,
    writer: Library,
    findings: Sequence[Finding],
    proves: Callable[[Rule], bool],
) -> Iterator[Proven]:
    sampler = Sampler(prover)
    shape = _whole(prover, writer)
    has_any = False
    for finding in sorted(findings, key=lambda finding: finding.rule.is_lenient):
        if not proves(finding.rule):
            yield finding, NO_WITNESS
            continue
        witness = verifier.witness(finding, sampler)
        if witness is NO_WITNESS and not has_any and shape is not None:
            anything = Finding(
                rule=finding.rule, writer="", reader="", candidates=lambda sampler: sampler.values(shape)
            )
            witness = verifier.witness(anything, sampler)
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


def _undecided(reason: str) -> Finding:
    return Finding(rule=Rule.CANNOT_DECIDE, writer="", reader="", facts={"reason": reason})


STEPS = 20_000
"""How many steps comparing with one version in one direction may take."""
MOST_STEPS = 3 * STEPS
"""No check takes more, however many versions there are."""
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

    The earlier versions are valid schemas; a candidate that is none is never compatible with any.
    `references` are the schemas that the candidate's `$ref`s name. `steps` bounds the work of comparing with one
    version in one direction; what is not known by then is not decided, and counts as incompatible. All together never
    takes more than three times the usual limit. Steps are counted, not timed: the answer depends on the schemas alone.
    """
    budget = Budget(MOST_STEPS)
    found: list[Difference] = []
    allowed: dict[tuple[str, ...], Difference] = {}
    told: set[tuple[object, ...]] = set()
    versions = [] if mode is Mode.NONE else earlier if mode.is_transitive else earlier[-1:]
    new = _library(candidate, references, is_new=True)
    for version in reversed(versions):
        old = _library(version.document, version.references) if budget.left else _TOO_LATE
        for direction in mode.directions:
            # An allowed difference is shown with an example once, for the newest version.
            proves = Rule.is_refused if policy is Policy.LENIENT and version is not versions[-1] else Rule.is_any
            with budget.limited(steps):
                compared = list(_compare(old, new, direction, budget, proves))
            for finding, witness in compared:
                is_refused = policy is Policy.STRICT or finding.rule.is_refused()
                # Allowed differences are mostly equal for all versions, and describing them takes time.
                same = direction, finding.rule.name, finding.writer, finding.reader, tuple(finding.facts.items())
                if not is_refused and same in told:
                    continue
                difference = _difference(finding, witness, direction, version.version)
                if is_refused:
                    found.append(difference)
                else:
                    told.add(same)
                    allowed.setdefault((direction, difference.rule, difference.description), difference)
    return CompatibilityResult(is_compatible=not found, differences=tuple(found), allowed=tuple(allowed.values()))


def obstacle(document: Mapping[str, Any], references: Schemas = _NO_REFERENCES) -> str | None:
    """Return why no version could follow a schema, not even itself with another description; `None` when one could."""
    old = _library(document, references)
    new = _library({**document, "description": _OTHER_WORDS}, references, is_new=True)
    if isinstance(old, str) or isinstance(new, str):
        return old if isinstance(old, str) else str(new)
    for finding, _ in compare(old, new, Budget(STEPS), proves=lambda _: False):
        if finding.rule is Rule.CANNOT_DECIDE:
            return str(finding.facts["reason"])
        if finding.rule.is_refused():
            name = finding.facts.get("name", finding.rule.name)
            return f"what “{name}” means at “{finding.reader}” is only known when a document is read"
    return None


def _library(document: Mapping[str, Any], references: Schemas, *, is_new: bool = False) -> Library | str:
    """Return the schema ready to be compared, or the reason why it cannot be."""
    try:
        return Library(document, references, is_new=is_new)
    except Unusable as error:
        return str(error)


def _compare(
    old: Library | str, new: Library | str, direction: Direction, budget: Budget, proves: Callable[[Rule], bool]
) -> Iterator[tuple[Finding, Any]]:
    if isinstance(old, str) or isinstance(new, str):
        reason = old if isinstance(old, str) else new
        yield Finding(rule=Rule.CANNOT_DECIDE, writer="", reader="", facts={"reason": reason}), NO_WITNESS
    elif direction is Direction.BACKWARD:
        yield from compare(old, new, budget, proves=proves)
    else:
        yield from compare(new, old, budget, proves=proves)


def _difference(finding: Finding, witness: Any, direction: Direction, version: int) -> Difference:
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
        description=_sentence(rule.description, words),
        fix=_sentence(rule.fix_of_reader if is_backward else rule.fix_of_writer, words),
        witness=witness,
        version=version,
    )


def _sentence(template: str, words: Mapping[str, Any]) -> str:
    text = template.format_map(words)
    return text[0].upper() + text[1:]
