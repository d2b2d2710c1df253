"""Test and save candidate schemas, given as text or as a contract's draft, against the event types of their subject."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Concat

from contracts import registry
from contracts.models import Contract, ContractVersion
from contracts.registry import Content, Reference, drafts, references
from streams import connections
from streams.models import EventType
from streams.snapshot import holder
from synapse import sandbox
from synapse.auth.principal import Principal
from synapse.errors.streams import NothingToTest
from synapse.inspection.backtest import Tested, back_test
from synapse.inspection.recent_events import USUAL_EVENTS
from synapse.sandbox import SchemaTrial
from synapse.schema import validator


def event_types_of(subject: str) -> Sequence[EventType]:
    """Return the event types that point at the contract with this subject, and the one that owns the subject
    (`<stream>.<type>`) if it points at no contract.

    Raises:
        UnknownContract: when neither such an event type nor the contract exists.
        NothingToTest: when no event type points at the contract.
    """
    own = Concat(F("stream__name"), Value("."), F("name"), output_field=CharField())
    found = (
        EventType.objects.annotate(own=own)
        .filter(Q(contract__subject=subject) | Q(contract=None, own=subject))
        .select_related("stream")
        .order_by("stream__name", "name")
    )
    if not found:
        registry.contract(subject)
        raise NothingToTest(f"No event type points at the contract “{subject}”, so it has no events.")
    return list(found)


def subject_of(stream: str, event_type: str) -> str:
    """Return the subject of an event type's contract; without a contract, the type's own subject."""
    found = (
        EventType.objects.filter(stream__name=stream, name=event_type, contract__isnull=False)
        .values_list("contract__subject", flat=True)
        .first()
    )
    return found or f"{stream}.{event_type}"


def has_contract(stream: str, event_type: str) -> bool:
    """Say whether an event type of this name is defined on the stream, and has a contract."""
    return EventType.objects.filter(stream__name=stream, name=event_type, contract__isnull=False).exists()


def from_text(subject: str, text: bytes) -> Content:
    """Return a schema, given as UTF-8, as content for a contract's next version, with the references of the newest
    version.

    Raises:
        BadSchema: when it is no JSON object, or too large.
    """
    validator.parse_schema(text)
    return drafts.content_of_text(Contract.objects.filter(subject=subject).first(), text.decode())


def from_draft(subject: str) -> Content:
    """Return the content of the draft of the contract with this subject.

    Raises:
        NothingToTest: when the contract has no draft.
    """
    drafts_of = ContractVersion.objects.filter(contract__subject=subject, state=ContractVersion.State.DRAFT)
    draft = drafts_of.select_related("contract").first()
    if draft is None:
        raise NothingToTest(f"“{subject}” has no draft. Give the schema that is to be tested.")
    return from_version(draft)


def from_version(version: ContractVersion) -> Content:
    """Return the content of a contract's version or draft."""
    return drafts.content_of_text(
        version.contract, version.text, [Reference(**reference) for reference in version.references]
    )


def open_trial(candidate: Content) -> AbstractContextManager[SchemaTrial]:
    """Return a context manager for a trial of a candidate on events.

    Raises:
        BadSchema: when it cannot be a contract's schema.
        SandboxBusy: when too many requests use the sandbox.
    """
    return sandbox.open_trial(candidate.document, references.resolve(candidate.references))


def back_tests(subject: str, candidate: Content, *, by: Principal, last: int = USUAL_EVENTS) -> Iterator[Tested]:
    """Test the candidate on the `last` newest events of each event type of its subject, and yield the results. PII that
    `by` may not see is masked first.

    Raises:
        BadSchema: when it cannot be a contract's schema.
        SandboxBusy: when too many requests use the sandbox.
        UnknownContract, NothingToTest: when no event type has this subject.
        WrongType, RedisUnavailable: as their names say.
    """
    with open_trial(candidate) as found:
        for event_type in event_types_of(subject):
            test = back_test(holder.current(), event_type.stream.name, event_type.name, found, by=by, last=last)
            yield connections.executor().run(test)


def save_draft(subject: str, text: str, *, replace: bool, by: Principal) -> ContractVersion:
    """Save a schema without references as the draft of a contract, and create the contract if there is none.

    Raises:
        DraftExists: when there is a draft with another text, and `replace` is false.
        BadSchema: when the text cannot be a contract's schema.
    """
    return registry.draft(subject, text, by=by, references=[], replace=replace)
