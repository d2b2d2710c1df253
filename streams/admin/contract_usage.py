"""Which event types use a contract, for the contract's page."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import reverse

from contracts.admin import extensions
from contracts.admin.extensions import Use
from contracts.models import Contract
from streams.admin.test_event import mistakes, sentence
from streams.models import EventType, Stream

_EFFECTS = {
    Stream.Enforcement.ENFORCE: "“{stream}” refuses “{name}” events that break it.",
    Stream.Enforcement.WARN: "“{stream}” takes “{name}” events that break it, and counts them.",
    Stream.Enforcement.OFF: "“{stream}” checks nothing.",
}


def event_types(contract: Contract, schema: Mapping[str, Any] | None) -> Iterator[Use]:
    """Give the event types of a contract, with what is wrong with their examples under a schema."""
    for found in EventType.objects.filter(contract=contract).select_related("stream"):
        stream = found.stream
        complaints = [] if schema is None else _complaints(found, contract, schema)
        yield Use(
            name=str(found),
            url=reverse("admin:streams_eventtype_change", args=[found.pk]),
            effect=_EFFECTS[Stream.Enforcement(stream.enforcement)].format(stream=stream.name, name=found.name),
            complaints=complaints,
        )


def _complaints(found: EventType, contract: Contract, schema: Mapping[str, Any]) -> list[str]:
    wrong = mistakes(stream=found.stream.name, name=found.name, example=found.example, contract=contract, schema=schema)
    return [sentence(pointer, mistake) for pointer, mistake in wrong]


extensions.register_uses(event_types)
