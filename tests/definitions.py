"""Helpers that define streams, contracts, and services with keys in a test."""

from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone

from contracts import registry
from contracts.models import Contract, ContractVersion, RemovedContract, Schema
from core import audit, catalog_version
from streams.access import key_issuance
from streams.models import EventType, Grant, Service, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.schema import validator

Row = TypeVar("Row", bound=Model)
# The rows of each first version that this process has registered: the contract, its schema, and the version.
_registered: dict[tuple[str, str], tuple[Contract, Schema, ContractVersion]] = {}


def define(name: str, event_types: dict[str, dict[str, Any] | None] | None = None, **columns: Any) -> Stream:
    """Define a stream, and event types with their schemas (None: without a contract)."""
    stream = Stream.objects.filter(name=name).first() or Stream(name=name)
    for column, value in columns.items():
        setattr(stream, column, value)
    there = {} if stream._state.adding else {row.name: row for row in stream.event_types.all()}
    stream.save()
    for type_name, schema in (event_types or {}).items():
        event_type = there.get(type_name) or EventType(stream=stream, name=type_name)
        if schema is not None:
            event_type.contract = contract(event_type.own_subject, schema).contract
        if schema is not None or event_type._state.adding:
            event_type.save()
    holder.forget()
    return stream


def contract(subject: str, schema: dict[str, Any]) -> ContractVersion:
    """Activate a version of a contract.

    Registering takes forty statements, and tests register the same few schemas by the thousand. The rows of a first
    version are therefore written again as the registry wrote them before.
    """
    text = validator.canonical_text(schema)
    is_new = not any(model.objects.filter(subject=subject).exists() for model in (Contract, RemovedContract))
    if is_new and (rows := _registered.get((subject, text))):
        version = _written_again(*rows)
    else:
        version = registry.register(subject, text, by=SYSTEM)
        if is_new and version.schema is not None:
            _registered[subject, text] = (version.contract, version.schema, version)
    holder.forget()
    return version


def _written_again(contract: Contract, schema: Schema, version: ContractVersion) -> ContractVersion:
    catalog_version.bump()
    owner = _insert(contract)
    kept = Schema.objects.filter(digest=schema.digest).first() or _insert(schema)
    written = _insert(version, contract=owner, schema=kept, activated_at=timezone.now())
    audit.record(SYSTEM, "activate", owner, after={"version": written.number, "schema": kept.pk})
    return written


def _insert(row: Row, **columns: Any) -> Row:
    """Insert a row like this one, with other values in some columns."""
    fields = {field.name: getattr(row, field.name) for field in row._meta.concrete_fields if not field.primary_key}
    (inserted,) = type(row)._default_manager.bulk_create([type(row)(**fields | columns)])
    return inserted


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
