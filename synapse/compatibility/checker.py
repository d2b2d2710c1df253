"""Is a new schema safe after the earlier ones?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from synapse.compatibility.budget import Budget
from synapse.compatibility.comparison import compare
from synapse.compatibility.documents import Library, Unusable
from synapse.compatibility.findings import Finding
from synapse.compatibility.modes import Direction, Mode, Policy
from synapse.compatibility.result import (
    NO_WITNESS,
    Difference,
    Earlier,
    Verdict,
)
from synapse.compatibility.rules import CANNOT_DECIDE, Rule

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
    earlier: Sequence[Earlier],
    *,
    mode: Mode,
    policy: Policy = Policy.LENIENT,
    references: Schemas = _NO_REFERENCES,
    steps: int = STEPS,
) -> Verdict:
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
            # What is let through is shown with an example once, for the newest version.
            proves = Rule.is_refused if policy is Policy.LENIENT and version is not versions[-1] else Rule.is_any
            with budget.limited(steps):
                compared = list(_compare(old, new, direction, budget, proves))
            for finding, witness in compared:
                is_refused = policy is Policy.STRICT or finding.rule.is_refused()
                # What is let through is mostly the same for each version, and putting it into words takes its time.
                same = direction, finding.rule.name, finding.writer, finding.reader, tuple(finding.facts.items())
                if not is_refused and same in told:
                    continue
                difference = _difference(finding, witness, direction, version.version)
                if is_refused:
                    found.append(difference)
                else:
                    told.add(same)
                    allowed.setdefault((direction, difference.rule, difference.description), difference)
    return Verdict(is_compatible=not found, differences=tuple(found), allowed=tuple(allowed.values()))


def obstacle(document: Mapping[str, Any], references: Schemas = _NO_REFERENCES) -> str | None:
    """Return why no version could follow a schema, not even itself with another description; `None` when one could."""
    old = _library(document, references)
    new = _library({**document, "description": _OTHER_WORDS}, references, is_new=True)
    if isinstance(old, str) or isinstance(new, str):
        return old if isinstance(old, str) else str(new)
    for finding, _ in compare(old, new, Budget(STEPS), proves=lambda _: False):
        if finding.rule is CANNOT_DECIDE:
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
        yield Finding(rule=CANNOT_DECIDE, writer="", reader="", facts={"reason": reason}), NO_WITNESS
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
