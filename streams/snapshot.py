"""Snapshots of the catalog for the hot path. A snapshot is immutable, and replaced as a whole when the catalog changes.

A publish makes no query. A process reloads right after its own changes. It sees changes of other processes by reading
the catalog's version number every `POLL_SECONDS`, in a thread (see `background_tasks.py`).
"""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from contracts import registry
from contracts.models import Schema
from core import catalog_version
from streams.contract_marks import MarkReader, MarksOf, VersionRow, event_type_rows, version_rows
from streams.models import Grant, Key, Service, Stream
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
# With appendfsync “everysec”, a server writes to its disk within a little more than a second.
_PATIENCE_FOR_DISK = timedelta(seconds=1.5)
# Replaces a schema that cannot be used: it refuses every event, and marks each whole event as PII.
REFUSES_ALL: Mapping[str, Any] = {"not": {}, MARK: True}
_ACTIONS: dict[str, Action] = {Grant.Action.PUBLISH: "publish", Grant.Action.SUBSCRIBE: "read"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContractTypes(Mapping[str, TypesOfContract]):
    """The property types that contracts declare, by event type, computed on first use."""

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
        """Return the number of event types with a contract."""
        return sum(1 for _ in self)


class SnapshotHolder:
    """Holds the current snapshot. Compiled schemas are kept across reloads, because the text of a schema id never
    changes.
    """

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
        """The snapshot that was loaded last; None before the first load. Makes no query."""
        return self._snapshot

    def refresh(self) -> Snapshot:
        """Reload the catalog if its version number changed, and return the snapshot."""
        with self._lock:
            if self._snapshot is None or self._is_kept or self._snapshot.version != catalog_version.current():
                self._snapshot, self._is_kept = self._load_snapshot(), False
            return self._snapshot

    def adopt(self, kept: Snapshot) -> None:
        """Use a kept snapshot until the database can be read."""
        with self._lock:
            self._snapshot, self._is_kept = kept, True

    def load_own_change(self) -> None:
        """Load a change that this process made (a listener of `core.catalog_version`)."""
        self.refresh()

    def forget(self) -> None:
        """Drop the loaded snapshot, so that the next call loads it again."""
        with self._lock:
            self._snapshot = None
            self._compiled.clear()
            self._marks.forget()

    def _load_snapshot(self) -> Snapshot:
        while True:
            # Load again if the number changed while loading. So no lock is held.
            version = catalog_version.current()
            streams, former = self._load_streams()
            keys = load_keys()
            if catalog_version.current() == version:
                return Snapshot(
                    version=version,
                    streams=streams,
                    former=former,
                    public_url=settings.PUBLIC_URL,
                    keys={key.digest: key for key in keys},
                    keys_by_id={key.id: key for key in keys},
                )

    def _load_streams(self) -> tuple[dict[str, StreamDefinition], dict[str, StreamDefinition]]:
        """Return the defined streams, and streams that are no longer defined but have contracts with PII marks."""
        rows, types = version_rows(), event_type_rows()
        versions = self._load_versions(rows, {row.contract_id for row in types})
        active = {row.contract_id: row.number for row in rows if row.is_active}
        event_types: dict[int, dict[str, EventTypeDefinition]] = {}
        for row in types:
            there = versions.get(row.contract_id or 0, {})
            definition = EventTypeDefinition(
                name=row.name,
                owner=row.owner,
                runbook=row.runbook,
                labels=row.labels,
                contract=there.get(active.get(row.contract_id or 0, 0)),
                versions=there,
            )
            event_types.setdefault(row.stream_id, {})[row.name] = definition
        marks = self._marks.read(rows, types, self._compiled)
        streams = {row.name: _definition_of(row, event_types.get(row.pk, {}), marks) for row in Stream.objects.all()}
        former = {name: StreamDefinition(name=name, marks=marks[name]) for name in marks.keys() - streams.keys()}
        return streams, former

    def _load_versions(self, rows: Sequence[VersionRow], used: Set[int | None]) -> dict[int, dict[int, ActiveContract]]:
        """Return every version of each contract that an event type uses, by contract and number."""
        kept = [row for row in rows if row.contract_id in used and not row.is_deleted]
        self._compile_missing({row.schema_id for row in kept})
        versions: dict[int, dict[int, ActiveContract]] = {}
        for row in kept:
            contract = ActiveContract(subject=row.subject, version=row.number, schema=self._compiled[row.schema_id])
            versions.setdefault(row.contract_id, {})[row.number] = contract
        return versions

    def _compile_missing(self, schema_ids: set[int]) -> None:
        for schema in Schema.objects.filter(pk__in=schema_ids - self._compiled.keys()):
            try:
                self._compiled[schema.pk] = registry.compile_stored(schema)
            except BadSchema as error:
                # The schema was valid when it was activated; a newer library refuses it. Only its event types are
                # affected.
                logger.error(
                    "schema %s cannot be used any more, so its events are refused: %s", schema.pk, error.detail
                )
                self._compiled[schema.pk] = validator.compile_schema(REFUSES_ALL)


def grants_of(service: Service) -> list[Granted]:
    """Return the grants of a service."""
    rows = service.grants.order_by().values_list("action", "stream", "event_type")
    return [_grant_of(*row) for row in rows]


def _grant_of(action: str, stream: str, event_type: str) -> Granted:
    return Granted(action=_ACTIONS[action], stream=stream, event_type=event_type)


def load_keys() -> list[KeyDefinition]:
    """Return the keys that are not revoked, each with its rights, in two queries."""
    rows = list(
        Key.objects.filter(revoked_at=None)
        .order_by()
        .values_list("key_id", "service_id", "service__name", "digest", "expires_at", "scopes")
    )
    grants: dict[int, list[Granted]] = {}
    if rows:
        for service_id, *grant in Grant.objects.order_by().values_list("service_id", "action", "stream", "event_type"):
            grants.setdefault(service_id, []).append(_grant_of(*grant))
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
    """Return how long a publish may wait for durability: less than the read timeout of the connection to Redis, so that
    the reply is still read.
    """
    return _PATIENCE_FOR_DISK if durability == "local" else timedelta(seconds=settings.REDIS_TIMEOUT * 0.75)


def _definition_of(row: Stream, event_types: Mapping[str, EventTypeDefinition], marks: MarksOf) -> StreamDefinition:
    return StreamDefinition(
        **{
            "name": row.name,
            **{field.name: getattr(row, field.name) for field in STREAM_FIELDS},
            "max_length": row.max_length or settings.STREAM_MAX_LENGTH,
            "correlation": tuple(row.correlation),
        },
        durable_within=patience_of(row.durability),
        event_types=event_types,
        marks=marks.get(row.name, {}),
        types_of=ContractTypes(event_types),
    )


holder = SnapshotHolder()
