"""Short ways to define streams and contracts in a test."""

from typing import Any

from contracts import registry, schemas
from contracts.models import ContractVersion
from core.principal import SYSTEM
from streams.models import EventType, Stream
from streams.snapshot import holder


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
    version = registry.register(subject, schemas.canonical_text(schema), by=SYSTEM)
    holder.forget()
    return version
