"""Whether an event would be stored if it were published now: what the active contract says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridges.dead_letters.permissions import is_masked, sees_all
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM, Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.dead_letters import DeadLetter
from synapse.errors.streams import UnknownStream
from synapse.problems import Problem
from synapse.publishing import body, deferred_validation
from synapse.publishing.validation import Accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Revalidation:
    """The answer that publishing would give to an event: `problem` refuses it.

    `contract_version` is None when it is checked against nothing. `violations` are there too when it is only warned of.
    """

    problem: Problem | None
    contract_version: int | None
    violations: tuple[Mapping[str, str], ...] = ()

    @property
    def state(self) -> str:
        """The state of the contract: kept, broken or unchecked."""
        if self.violations or self.problem:
            return "broken"
        return "unchecked" if self.contract_version is None else "kept"

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON."""
        return {
            "state": self.state,
            "contract_version": self.contract_version,
            "detail": self.problem.detail if self.problem else None,
            "violations": list(self.violations),
        }


def revalidate(stream: str, event: Any, *, letter: DeadLetter | None = None, by: Principal = SYSTEM) -> Revalidation:
    """Validate an event as publishing would: the event of a dead letter, or one that is to be redriven in its place.

    For callers who may not see PII, the masked event is validated, because each rule is a question about a value.
    Errors at masked places are left out. The rules themselves are never masked: a mask inside an `enum` of guesses
    would tell which of them the event holds.
    """
    mask = None if letter is None or sees_all(by) else letter.mask
    if mask is None:
        return _revalidate(stream, event)
    hidden = mask.event(event)
    found = _revalidate(stream, hidden)
    told = tuple(each for each in found.violations if not is_masked(hidden, each["pointer"]))
    # The text of a refusal whose violations are all at masked places.
    is_moot = bool(found.violations) and not told
    return replace(found, problem=None if is_moot else found.problem, violations=told)


def _revalidate(stream: str, event: Any) -> Revalidation:
    try:
        _, accepted = accept(stream, event)
    except Problem as problem:
        return Revalidation(
            problem=problem,
            contract_version=problem.members.get("contract_version"),
            violations=tuple(problem.members.get("violations", ())),
        )
    return Revalidation(
        problem=None,
        contract_version=accepted.contract_version,
        violations=tuple(violation.as_dict() for violation in accepted.warnings),
    )


def accept(stream: str, event: Any) -> tuple[StreamDefinition, Accepted]:
    """Return the stream, and the event as publishing would accept it.

    Raises:
        UnknownStream: when the stream is not defined (any more).
        Problem: when the event would be refused (see synapse.publishing.body, synapse.publishing.validation and
            synapse.publishing.deferred_validation).
    """
    definition = holder.current().streams.get(stream)
    if definition is None:
        raise UnknownStream(stream)
    return definition, deferred_validation.check_in_thread(definition, body.within_limits(event))
