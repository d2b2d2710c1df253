"""The steps before one published event is stored: make it canonical, check it, encode it."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from synapse.auth.permission import refused_right
from synapse.auth.principal import SYSTEM, Principal
from synapse.catalog.stream_definitions import ActiveContract, EventTypeDefinition, StreamDefinition
from synapse.errors.contracts import TooCostly
from synapse.errors.streams import BadEvent, BadEventType, ContractViolated, UnknownContractVersion, UnknownEventType
from synapse.formats.text import NO_TEXTS, RULE, is_name
from synapse.problems import Forbidden
from synapse.schema.violations import Violation
from synapse.wire import encoding

# The greatest number of defined types, or of newest versions, that a refusal lists: it is repeated for each event of a
# batch.
_MOST_LISTED = 20
# The number of violations in the detail of a refusal, which is all that many programs show.
_MOST_NAMED = 3

_NOT_EXPLAINED = Violation(
    pointer="",
    keyword="",
    schema_pointer="",
    message="The event breaks its contract; too many violations were listed already to spell this one out.",
)


class Accepted(NamedTuple):
    """An event that may be stored.

    Attributes:
        event: the canonical event.
        event_type: its type.
        contract_version: the version of the contract that it was checked against, None for none.
        warnings: its violations of the contract, when the stream only warns of them.
        registered: whether the stream defines its type.
    """

    event: Mapping[str, Any]
    event_type: str
    contract_version: int | None
    warnings: Sequence[Violation]
    registered: bool


class TypeRules(NamedTuple):
    """The rules for events of one type. `contract` is None when they are not checked; `registered` says whether the
    stream defines the type."""

    event_type: str
    contract: ActiveContract | None
    registered: bool


class DeferredCheck(NamedTuple):
    """An event whose validation is not finished, because it may block the event loop for too long
    (see `synapse.publishing.deferred_validation`)."""

    event: Mapping[str, Any]
    event_type: str
    contract: ActiveContract
    registered: bool


def check(
    stream: StreamDefinition,
    value: Any,
    *,
    version: int | None = None,
    by: Principal = SYSTEM,
    rulings: dict[str, TypeRules] | None = None,
    length: float = inf,
) -> Accepted | DeferredCheck:
    """Check an event. Return it ready to be encoded, or undecided when validating it may take long.

    Args:
        stream: the stream to which it is published.
        value: the event as it was sent.
        version: the version of its contract that the publisher asks for, None for the active one.
        by: the publisher.
        rulings: a cache of the rules by event type, for events that are checked with the same other arguments.
        length: the greatest length of the event as JSON in bytes, if known.

    Raises:
        BadEvent: when the value is no JSON object, or has a property name that is reserved for Synapse.
        BadEventType: when it has no valid event type.
        Forbidden: when the publisher may not publish events of its type, or of another type that it names.
        UnknownEventType: when the stream does not define the type and rejects unknown types.
        UnknownContractVersion: when its contract does not have the requested version.
    """
    if not isinstance(value, dict):
        raise BadEvent("An event is a JSON object.")
    # One search in all names: hardly any event has such a name.
    if encoding.OWN_PREFIX in " ".join(value):
        for name in value:
            if name.startswith(encoding.OWN_PREFIX):
                raise BadEvent(
                    f"The property “{name[:100]}” has a name of Synapse's own; no event may use “synapse_…”."
                )
    event = encoding.canonical(value)
    event_type = event.get("event_type")
    ruling = rulings.get(event_type) if rulings is not None and isinstance(event_type, str) else None
    if ruling is None:
        ruling = _rules_for(stream, event, version=version, by=by)
        if rulings is not None:
            rulings[ruling.event_type] = ruling
    event_type, contract, registered = ruling
    if "event" in event or "payload" in event:
        _demand_further_types(stream, event, event_type, by)
    if contract is None:
        return tuple.__new__(Accepted, (event, event_type, None, (), registered))
    if contract.schema.accepts_at_once(event, length):
        return tuple.__new__(Accepted, (event, event_type, contract.version, (), registered))
    return DeferredCheck(event, event_type, contract, registered)


def conclude(
    stream: StreamDefinition, undecided: DeferredCheck, found: Sequence[Violation] | TooCostly | None
) -> Accepted:
    """Return an undecided event ready to be encoded, if the result of its validation allows it.

    Args:
        stream: the stream to which it is published.
        undecided: the event.
        found: its violations (empty when they were not to be listed), None when it conforms to its contract, or the
            problem that validating it takes too much work.

    Raises:
        ContractViolated: when the stream enforces the contract and the event breaks it.
        TooCostly: when the stream enforces the contract and validating the event takes too much work.
    """
    event, event_type, contract, registered = undecided
    if found is None:
        return Accepted(event, event_type, contract.version, (), registered)
    if isinstance(found, TooCostly):
        if stream.enforcement == "enforce":
            raise found
        violations = [Violation(pointer="", keyword="", schema_pointer="", message=found.detail)]
    else:
        violations = list(found) or [_NOT_EXPLAINED]
        if stream.enforcement == "enforce":
            raise _describe_violations(stream, event_type, contract, violations)
    return Accepted(event, event_type, contract.version, violations, registered)


def _rules_for(stream: StreamDefinition, event: Mapping[str, Any], *, version: int | None, by: Principal) -> TypeRules:
    """Return the rules for an event, by its type."""
    event_type = event.get("event_type")
    # The name of a defined type is valid: only others are checked.
    definition = stream.event_types.get(event_type) if isinstance(event_type, str) else None
    if definition is None or not isinstance(event_type, str):
        event_type = _valid_type_of(event)
    if not by.rights.may("publish", stream.name, event_type):
        raise refused_right(by, "publish", stream.name, event_type)
    if definition is None and stream.unknown_event_types == "reject":
        names = sorted(stream.event_types)
        more = len(names) - _MOST_LISTED
        known = ", ".join(f"“{name}”" for name in names[:_MOST_LISTED]) or "none"
        if more > 0:
            known += f" and {more} more"
        raise UnknownEventType(f"The stream “{stream.name}” takes no “{event_type}” events. It takes: {known}.")
    if version is None:
        contract = None if definition is None else definition.contract
    else:
        contract = _requested_version(definition, event_type, version)
    if stream.enforcement == "off":
        contract = None
    return TypeRules(event_type, contract, definition is not None)


def _demand_further_types(stream: StreamDefinition, event: Mapping[str, Any], event_type: str, by: Principal) -> None:
    """Check that the publisher has the right to each type that a consumer may read from the event.

    Raises:
        Forbidden: when one is missing.
    """
    for pointer, other in encoding.further_types(event):
        if other != event_type and not by.rights.may("publish", stream.name, other):
            refused = refused_right(by, "publish", stream.name, other)
            raise Forbidden(
                f"{refused.detail} The event is “{event_type}”, but names this type in “{pointer}”, which some"
                " consumers read.",
                missing=refused.members["missing"],
                pointer=pointer,
            )


def _requested_version(definition: EventTypeDefinition | None, event_type: str, version: int) -> ActiveContract:
    """Return the version of the contract that the publisher asks for."""
    if definition is None or not definition.versions:
        raise UnknownContractVersion(
            f"The event asks for version {version} of its contract, but “{event_type}” has no contract with versions."
        )
    if version not in definition.versions:
        subject = next(iter(definition.versions.values())).subject
        known = ", ".join(str(number) for number in sorted(definition.versions)[-_MOST_LISTED:])
        raise UnknownContractVersion(
            f"The contract “{subject}” has no version {version} that events can be checked against. It has: {known}.",
            event_type=event_type,
        )
    return definition.versions[version]


def _describe_violations(
    stream: StreamDefinition, event_type: str, contract: ActiveContract, violations: Sequence[Violation]
) -> ContractViolated:
    places = "one place" if len(violations) == 1 else f"{len(violations)} places"
    named = " ".join(violation.message for violation in violations[:_MOST_NAMED])
    more = f" “violations” has {len(violations) - _MOST_NAMED} more." if len(violations) > _MOST_NAMED else ""
    return ContractViolated(
        f"The event breaks version {contract.version} of the contract “{contract.subject}” in {places}: {named}{more}",
        [violation.as_dict() for violation in violations],
        stream=stream.name,
        event_type=event_type,
        contract_version=contract.version,
    )


def encode(
    stream: StreamDefinition,
    accepted: Accepted,
    *,
    now: Callable[[], str],
    source: str,
    beside: Mapping[str, str] = NO_TEXTS,
) -> list[str]:
    """Return the fields of the event's entry. The timestamp of `now` and `source` are used when the event has none;
    `beside` is as in `encoding.encode`."""
    return encoding.encode(
        accepted.event,
        layout=stream.layout,
        timestamp=now() if accepted.event.get("timestamp") is None else "",
        source=source,
        contract_version=accepted.contract_version or 0,
        beside=beside,
    )


def _valid_type_of(event: Mapping[str, Any]) -> str:
    if "event_type" not in event:
        hint = (
            "" if "specversion" not in event else " Send a CloudEvent with Content-Type application/cloudevents+json."
        )
        raise BadEventType(f"The event has no “event_type”.{hint}")
    event_type = event["event_type"]
    if not isinstance(event_type, str) or not is_name(event_type):
        raise BadEventType(f"“event_type” is a name: {RULE}.")
    return event_type
