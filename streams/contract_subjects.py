"""Which event types a subject is about, and which contract is an event type's."""

from collections.abc import Sequence

from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Concat

from contracts import registry
from streams.models import EventType
from synapse.errors.streams import NothingToTest


def event_types_of(subject: str) -> Sequence[EventType]:
    """Return the event types that point at the contract with this subject, or point at none and own the subject.

    Raises:
        UnknownContract: when there is neither such an event type nor such a contract.
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
    """Return the subject of an event type's contract; of a type that has none, its own subject."""
    found = (
        EventType.objects.filter(stream__name=stream, name=event_type, contract__isnull=False)
        .values_list("contract__subject", flat=True)
        .first()
    )
    return found or f"{stream}.{event_type}"


def is_pointed_at(stream: str, event_type: str) -> bool:
    """Say whether an event type of this name is defined on the stream, and has a contract."""
    return EventType.objects.filter(stream__name=stream, name=event_type, contract__isnull=False).exists()
