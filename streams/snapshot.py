"""Snapshots of the catalog for the hot path: immutable, replaced as a whole when the catalog changes.

A publish makes no query. This process reloads right after its own changes; others' changes are seen by asking for the
catalog's version number every `POLL_SECONDS`, in a thread (see background.py).
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max

from contracts import registry
from contracts.models import ContractVersion, Schema
from core import catalog_version
from streams.models import EventType, Grant, Key, Service, Stream
from streams.pii_marks import MarkReader, MarksOf
from synapse.auth.key_rights import Granted, KeyRights
from synapse.auth.principal import Action
from synapse.catalog.stream_definitions import (
    STREAM_FIELDS,
    ActiveContract,
    EventTypeDefinition,
    KeyDefinition,
    Snapshot,
    StreamDefinition,
)
from synapse.errors.contracts import BadSchema
from synapse.schema import validator
from synapse.schema.pii import MARK
from synapse.schema.validator import CompiledSchema
from synapse.wire.encoding import TypesOfContract

POLL_SECONDS = 0.3
# A server whose appendfsync is “everysec” has a write on its disk within a second and a little.
_PATIENCE_FOR_DISK = timedelta(seconds=1.5)
# In place of a schema that cannot be used: no event keeps it, and all of each is personal.
REFUSES_ALL: Mapping[str, Any] = {"not": {}, MARK: True}
_ACTIONS: dict[str, Action] = {Grant.Action.PUBLISH: "publish", Grant.Action.SUBSCRIBE: "read"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContractTypes(Mapping[str, TypesOfContract]):
    """The property types that the contracts of event types declare, computed on first use."""

    event_types: Mapping[str, EventTypeDefinition]

    def __getitem__(self, name: str) -> TypesOfContract:
        """Return the property types of an event type's contract."""
        contract = self.event_types[name].contract
        if contract is None:
            raise KeyError(name)
        return TypesOfContract(contract.schema.property_types, contract.schema.accepted_reading)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the event types with a contract."""
        return (name for name, event_type in self.event_types.items() if event_type.contract is not None)

    def __len__(self) -> int:
        """Return how many event types have a contract."""
        return sum(1 for _ in self)


class SnapshotHolder:
    """Keeps the current snapshot, and compiled schemas across reloads: a schema's text never changes under its id."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._is_kept = False
        self._compiled: dict[int, CompiledSchema] = {}
        self._marks = MarkReader()
        self._lock = threading.Lock()

    def current(self) -> Snapshot:
        """Return the snapshot, without a query once it is loaded."""
        return self._snapshot or self.refresh()

    @property
    def loaded(self) -> Snapshot | None:
        """The snapshot that was loaded last, without a query; None before any was."""
        return self._snapshot

    def refresh(self) -> Snapshot:
        """Load the catalog when its version number rose, and return the snapshot."""
        with self._lock:
            version = catalog_version.current()
            if self._snapshot is None or self._is_kept or self._snapshot.version != version:
                self._snapshot, self._is_kept = self._load(), False
            return self._snapshot

    def adopt(self, kept: Snapshot) -> None:
        """Use a kept snapshot until the database can be asked."""
        with self._lock:
            self._snapshot, self._is_kept = kept, True

    def heard(self) -> None:
        """Load a change that this process made (listener of core.catalog_version)."""
        self.refresh()

    def forget(self) -> None:
        """Drop the loaded snapshot, so that the next call loads it again."""
        with self._lock:
            self._snapshot = None
            self._compiled.clear()
            self._marks.forget()

    def _load(self) -> Snapshot:
        while True:
            # Read between two looks at the number: what changed meanwhile is read again, and no lock is held.
            version = catalog_version.current()
            streams, former = self._streams()
            keys = loaded_keys()
            if catalog_version.current() == version:
                return Snapshot(
                    version=version,
                    streams=streams,
                    former=former,
                    keys={key.digest: key for key in keys},
                    keys_by_id={key.id: key for key in keys},
                )

    def _streams(self) -> tuple[dict[str, StreamDefinition], dict[str, StreamDefinition]]:
        """Return the defined streams, and streams that are no longer defined but have contracts with PII marks."""
        versions = self._versions()
        active = self._active()
        event_types: dict[int, dict[str, EventTypeDefinition]] = {}
        for stream_id, name, contract_id, owner, runbook, labels in EventType.objects.values_list(
            "stream_id", "name", "contract_id", "owner", "runbook", "labels"
        ):
            there = versions.get(contract_id or 0, {})
            definition = EventTypeDefinition(
                name=name,
                owner=owner,
                runbook=runbook,
                labels=labels,
                contract=there.get(active.get(contract_id or 0, 0)),
                versions=there,
            )
            event_types.setdefault(stream_id, {})[name] = definition
        marks = self._marks.read(self._compiled)
        streams = {row.name: _definition(row, event_types.get(row.pk, {}), marks) for row in Stream.objects.all()}
        former = {name: StreamDefinition(name=name, marks=marks[name]) for name in marks.keys() - streams.keys()}
        return streams, former

    def _active(self) -> dict[int, int]:
        """Return the highest active version of each contract, by contract."""
        rows = ContractVersion.objects.filter(state=ContractVersion.State.ACTIVE, deleted_at=None)
        return dict(rows.values_list("contract_id").annotate(Max("number")))

    def _versions(self) -> dict[int, dict[int, ActiveContract]]:
        """Return every version of each contract that an event type uses, by contract and number."""
        rows = list(
            ContractVersion.objects.filter(
                deleted_at=None, number__isnull=False, contract__in=EventType.objects.values("contract_id")
            ).values_list("contract_id", "contract__subject", "number", "schema_id")
        )
        self._compile({schema_id for _, _, _, schema_id in rows if schema_id is not None})
        versions: dict[int, dict[int, ActiveContract]] = {}
        for contract_id, subject, number, schema_id in rows:
            if number is not None and schema_id is not None:
                contract = ActiveContract(subject=subject, version=number, schema=self._compiled[schema_id])
                versions.setdefault(contract_id, {})[number] = contract
        return versions

    def _compile(self, schema_ids: set[int]) -> None:
        for schema in Schema.objects.filter(pk__in=schema_ids - self._compiled.keys()):
            try:
                self._compiled[schema.pk] = registry.compiled(schema)
            except BadSchema as error:
                # It was good when it was activated; a library has changed its mind. Only its event types suffer.
                logger.error(
                    "schema %s cannot be used any more, so its events are refused: %s", schema.pk, error.detail
                )
                self._compiled[schema.pk] = validator.compile_schema(REFUSES_ALL)


def granted_to(service: Service) -> list[Granted]:
    """Return the grants of a service."""
    rows = service.grants.order_by().values_list("action", "stream", "event_type")
    return [_granted(*row) for row in rows]


def _granted(action: str, stream: str, event_type: str) -> Granted:
    return Granted(action=_ACTIONS[action], stream=stream, event_type=event_type)


def loaded_keys() -> list[KeyDefinition]:
    """Return the keys that are not revoked, each with its rights, in two queries."""
    rows = list(
        Key.objects.filter(revoked_at=None)
        .order_by()
        .values_list("key_id", "service_id", "service__name", "digest", "expires_at", "scopes")
    )
    grants: dict[int, list[Granted]] = {}
    if rows:
        for service_id, *grant in Grant.objects.order_by().values_list("service_id", "action", "stream", "event_type"):
            grants.setdefault(service_id, []).append(_granted(*grant))
    return [
        KeyDefinition(
            id=key_id,
            service=service,
            digest=bytes.fromhex(digest),
            expires=None if expires_at is None else expires_at.timestamp(),
            rights=KeyRights(grants.get(service_id, ()), scopes),
        )
        for key_id, service_id, service, digest, expires_at, scopes in rows
    ]


def patience_of(durability: str) -> timedelta:
    """Return how long a publish may wait for durability: less than the client's read timeout, so that the answer is
    read.
    """
    return _PATIENCE_FOR_DISK if durability == "local" else timedelta(seconds=settings.REDIS_TIMEOUT * 0.75)


def _definition(row: Stream, event_types: Mapping[str, EventTypeDefinition], marks: MarksOf) -> StreamDefinition:
    return StreamDefinition(
        **{
            "name": row.name,
            **{field.name: getattr(row, field.name) for field in STREAM_FIELDS},
            "max_length": row.max_length or settings.STREAM_MAX_LENGTH,
        },
        durable_within=patience_of(row.durability),
        event_types=event_types,
        marks=marks.get(row.name, {}),
        types_of=ContractTypes(event_types),
    )


holder = SnapshotHolder()
