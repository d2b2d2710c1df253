"""Checks whether publishing would accept an event now, by the active version of its contract."""

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
    """The result of checking an event as publishing would: `problem` is the refusal, None when it is accepted.

    `contract_version` is None when no contract applies. `violations` are also given where the stream only warns.
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
        """Return the result as a JSON value."""
        return {
            "state": self.state,
            "contract_version": self.contract_version,
            "detail": self.problem.detail if self.problem else None,
            "violations": list(self.violations),
        }


def revalidate(stream: str, event: Any, *, letter: DeadLetter | None = None, by: Principal = SYSTEM) -> Revalidation:
    """Validate an event as publishing would: the event of a dead letter, or one to redrive in its place.

    For callers who may not see PII, the masked event is validated, because each rule reveals something about a value.
    Errors at masked places are left out. The schema itself is never masked: if somebody lists guesses in an
    `enum`, a mask would show which of them is the value.
    """
    mask = None if letter is None or sees_all(by) else letter.mask
    if mask is None:
        return _validate_event(stream, event)
    hidden = mask.event(event)
    found = _validate_event(stream, hidden)
    told = tuple(each for each in found.violations if not is_masked(hidden, each["pointer"]))
    # A refusal only because of masked places is dropped.
    is_moot = bool(found.violations) and not told
    return replace(found, problem=None if is_moot else found.problem, violations=told)


def _validate_event(stream: str, event: Any) -> Revalidation:
    try:
        _, accepted = accept_event(stream, event)
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


def accept_event(stream: str, event: Any) -> tuple[StreamDefinition, Accepted]:
    """Return the stream's definition, and the event as publishing would accept it.

    Raises:
        UnknownStream: when the stream is not defined.
        Problem: when the event would be refused (see synapse.publishing.body, synapse.publishing.validation and
            synapse.publishing.deferred_validation).
    """
    definition = holder.current().streams.get(stream)
    if definition is None:
        raise UnknownStream(stream)
    return definition, deferred_validation.check_in_thread(definition, body.within_limits(event))
