"""Snapshots of the catalog for the hot path: immutable, replaced as a whole when the catalog changes.

A publish makes no query. This process reloads right after its own changes; others' changes are seen by asking for the
catalog's version number every `POLL_SECONDS`, in a thread (see background_tasks.py).
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Q

from contracts import registry
from contracts.models import ContractVersion, Schema
from core import catalog_version
from streams.models import EventType, Grant, Key, Service, Stream
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
from synapse.schema.pii import MARK, Marks
from synapse.schema.validator import CompiledSchema
from synapse.wire.encoding import TypesOfContract

# By stream, by event type.
MarksOf = Mapping[str, Mapping[str, tuple[Marks, ...]]]
_AT_ONCE = 500


class MarkReader:
    """Reads the PII marks of all contracts, each schema once: the text of a schema id never changes.

    An event type has the marks of every version of the contract that it points at, and of the contract whose subject is
    its own (`<stream>.<type>`), whether or not it still points there or is still defined. So no change of definitions
    unmasks events published before it; only deleting versions for good does.
    """

    def __init__(self) -> None:
        self._known: dict[int, Marks | None] = {}

    def forget(self) -> None:
        """Drop the marks that were read."""
        self._known.clear()

    def read(self, compiled: Mapping[int, CompiledSchema]) -> MarksOf:
        """Return the PII marks of each stream. Schemas in `compiled` are not compiled again."""
        by_subject = self._by_subject(compiled)
        found: dict[str, dict[str, dict[int, Marks]]] = {}
        for subject, stream, event_type in (*_pointing(by_subject), *_owning(by_subject)):
            there = found.setdefault(stream, {}).setdefault(event_type, {})
            there.update({id(marks): marks for marks in by_subject[subject]})
        return {
            stream: {event_type: tuple(marks.values()) for event_type, marks in types.items()}
            for stream, types in found.items()
        }

    def _by_subject(self, compiled: Mapping[int, CompiledSchema]) -> dict[str, list[Marks]]:
        rows = list(
            ContractVersion.objects.filter(schema__isnull=False)
            .order_by("contract", "number")
            .values_list("contract__subject", "schema_id")
        )
        self._learn({schema_id for _, schema_id in rows if schema_id is not None}, compiled)
        found: dict[str, list[Marks]] = {}
        for subject, schema_id in rows:
            if schema_id is not None and (marks := self._known[schema_id]) is not None:
                found.setdefault(subject, []).append(marks)
        return found

    def _learn(self, schema_ids: set[int], compiled: Mapping[int, CompiledSchema]) -> None:
        new = sorted(schema_ids - self._known.keys())
        for begin in range(0, len(new), _AT_ONCE):
            some = new[begin : begin + _AT_ONCE]
            # Most schemas mark nothing, which the database can tell: JSON may write the mark with escapes.
            may_mark = Q(text__contains=MARK) | Q(text__contains="\\u") | Q(referring__isnull=False)
            for schema in Schema.objects.filter(may_mark, pk__in=some).distinct():
                known = compiled.get(schema.pk)
                self._known[schema.pk] = registry.marks(schema) if known is None else known.personal
            for schema_id in some:
                self._known.setdefault(schema_id, None)


def _pointing(subjects: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the contract subjects with the stream and the name of each event type that uses them."""
    rows = EventType.objects.order_by().values_list("contract__subject", "stream__name", "name")
    known = frozenset(subjects)
    yield from ((subject, stream, name) for subject, stream, name in rows if subject in known)


def _owning(subjects: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the event types whose own subject is given. Names may contain dots, so one subject can have several."""
    for subject in subjects:
        for place, character in enumerate(subject):
            if character == ".":
                yield subject, subject[:place], subject[place + 1 :]


POLL_SECONDS = 0.3
# A server whose appendfsync is “everysec” has a write on its disk within a second and a little.
_PATIENCE_FOR_DISK = timedelta(seconds=1.5)
# In place of a schema that cannot be used: no event keeps it, and each event counts as PII as a whole.
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
            if self._snapshot is None or self._is_kept or self._snapshot.version != catalog_version.current():
                self._snapshot, self._is_kept = self._load(), False
            return self._snapshot

    def adopt(self, kept: Snapshot) -> None:
        """Use a kept snapshot until the database can be asked."""
        with self._lock:
            self._snapshot, self._is_kept = kept, True

    def load_own_change(self) -> None:
        """Load a change that this process made: a listener of core.catalog_version."""
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


def grants_of(service: Service) -> list[Granted]:
    """Return the grants of a service."""
    rows = service.grants.order_by().values_list("action", "stream", "event_type")
    return [_granted(*row) for row in rows]


def _granted(action: str, stream: str, event_type: str) -> Granted:
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
            "correlation": tuple(row.correlation),
        },
        durable_within=patience_of(row.durability),
        event_types=event_types,
        marks=marks.get(row.name, {}),
        types_of=ContractTypes(event_types),
    )


holder = SnapshotHolder()
