"""Helpers that define streams, contracts, and services with keys in a test."""

from typing import Any

from contracts import registry
from contracts.models import ContractVersion
from streams.access import key_issuance
from streams.models import EventType, Grant, Service, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.schema import validator


def define(name: str, event_types: dict[str, dict[str, Any] | None] | None = None, **columns: Any) -> Stream:
    """Define a stream, and event types with their schemas (None: without a contract)."""
    stream, _ = Stream.objects.update_or_create(name=name, defaults=columns)
    for type_name, schema in (event_types or {}).items():
        event_type, _ = EventType.objects.get_or_create(stream=stream, name=type_name)
        if schema is not None:
            event_type.contract = contract(event_type.own_subject, schema).contract
            event_type.save()
    holder.forget()
    return stream


def contract(subject: str, schema: dict[str, Any]) -> ContractVersion:
    """Activate a version of a contract."""
    version = registry.register(subject, validator.canonical_text(schema), by=SYSTEM)
    holder.forget()
    return version


def key_of(
    service: str,
    *,
    publishes: tuple[str, ...] | list[str] = (),
    subscribes: tuple[str, ...] | list[str] = (),
    scopes: tuple[str, ...] | list[str] = (),
) -> str:
    """Issue a key of a service with these grants, and return it."""
    row, _ = Service.objects.get_or_create(name=service)
    for action, grants in ((Grant.Action.PUBLISH, publishes), (Grant.Action.SUBSCRIBE, subscribes)):
        for grant in grants:
            stream, _, event_type = grant.partition("/")
            Grant.objects.get_or_create(service=row, action=action, stream=stream, event_type=event_type or "*")
    issued = key_issuance.issue(service, by=SYSTEM, scopes=scopes)
    # What tells the process comes after the commit, and no test commits.
    holder.forget()
    return issued.text
