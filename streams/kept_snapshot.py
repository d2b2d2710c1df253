"""A copy of the last snapshot of the catalog in a file, for web servers that start while the database is unavailable.

The file is written when the catalog changes, is readable only by its owner, and signed with Django's secret key. It may
be outdated when it is needed, and a key that was revoked since must not become valid again. So each process records in
Redis the version of the catalog that it loaded, and a file is used only if its version is the highest recorded one.
"""

import logging
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core import signing
from django.db import connection

from streams import connections
from streams.snapshot import REFUSES_ALL, ContractTypes, patience_of
from synapse.auth.key_rights import Granted, KeyRights
from synapse.catalog.ownership import OWNERSHIP_FIELDS
from synapse.catalog.stream_definitions import (
    STREAM_FIELDS,
    ActiveContract,
    EventTypeDefinition,
    KeyDefinition,
    Snapshot,
    StreamDefinition,
)
from synapse.errors.contracts import BadSchema
from synapse.redis import RedisUnavailable, ReplyError, SyncExecutor
from synapse.redis.commands import shared_values
from synapse.schema import validator
from synapse.schema.pii import Marks, marks_of
from synapse.schema.references import ReferenceResolver
from synapse.schema.validator import CompiledSchema

# Marks the format. Files of other formats, such as those with other stream settings, are not used.
FORMAT = [3, *(field.name for field in STREAM_FIELDS)]
RECORD_AGAIN_SECONDS = 60.0
_SALT = "streams.kept_snapshot"
Source = tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]

logger = logging.getLogger(__name__)


class NotKept(Exception):
    """There is no usable snapshot; the message completes "there is no kept catalog: ..."."""


class SnapshotFile:
    """The snapshot file of a data folder, with the catalog version recorded in Redis."""

    def __init__(self, path: Path, executor: Callable[[], SyncExecutor]) -> None:
        self._path = path
        self._executor = executor
        self._written: int | None = None
        self._recorded: tuple[int, float] | None = None

    def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot that was just compared with the database, unless it is written already, and record its
        version."""
        if self._written != snapshot.version:
            # Set before writing, so that a failure is logged once and writing is tried again only with the next change.
            self._written = snapshot.version
            try:
                self._write_file(snapshot)
            except OSError as error:
                logger.warning("the catalog cannot be kept in %s: %s", self._path, error.strerror)
        self.record_version(snapshot)

    def record_version(self, snapshot: Snapshot) -> None:
        """Record the loaded version in Redis, and repeat that from time to time in case Redis lost it."""
        if self._recorded and self._recorded[0] == snapshot.version and time.monotonic() < self._recorded[1]:
            return
        try:
            (reply,) = self._executor().execute([shared_values.note_catalog_number(snapshot.version)])
        except RedisUnavailable:
            # Without the record, the older file could later be taken for the latest, and make a revoked key valid
            # again.
            with suppress(NotKept, OSError):
                if self._read_packed()["version"] < snapshot.version:
                    self._path.unlink(missing_ok=True)
            return
        if not isinstance(reply, ReplyError):
            self._recorded = snapshot.version, time.monotonic() + RECORD_AGAIN_SECONDS

    def read(self) -> Snapshot:
        """Return the kept snapshot.

        Raises:
            NotKept: when there is no usable file, or it is not known to be the latest.
        """
        packed = self._read_packed()
        try:
            (noted,) = self._executor().execute([shared_values.catalog_number()])
        except RedisUnavailable as error:
            raise NotKept(f"whether it is the last one is not known: {error.detail}") from error
        if noted != packed["version"]:
            raise NotKept(f"it is version {packed['version']}, and Redis knows of version {noted}")
        return unpack(packed)

    def _read_packed(self) -> Mapping[str, Any]:
        """Return the content of the file. Raise `NotKept` when it was not written by this installation."""
        try:
            packed: Mapping[str, Any] = signing.loads(self._path.read_text("ascii"), salt=_SALT, serializer=_Serializer)
        except FileNotFoundError:
            raise NotKept(f"{self._path} is not there") from None
        except (OSError, ValueError, zlib.error, signing.BadSignature) as error:
            raise NotKept(f"{self._path} was not written by this installation ({error})") from error
        if packed["format"] != FORMAT or packed["database"] != _database_address():
            raise NotKept(f"{self._path} is of another version of Synapse, or of another database")
        return packed

    def _write_file(self, snapshot: Snapshot) -> None:
        text = signing.dumps(
            {"format": FORMAT, "database": _database_address(), **pack(snapshot)},
            salt=_SALT,
            serializer=_Serializer,
            compress=True,
        )
        # The file is replaced as a whole, and only its owner can read it.
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")
        try:
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise


def pack(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON values: see `unpack`."""
    sources = _Sources()
    return {
        "version": snapshot.version,
        "streams": [_pack_stream(stream, sources) for stream in snapshot.streams.values()],
        "former": [_pack_stream(stream, sources) for stream in snapshot.former.values()],
        "keys": [
            {
                "id": key.id,
                "service": key.service,
                "digest": key.digest.hex(),
                "expires": key.expires,
                "grants": [[grant.action, grant.stream, grant.event_type] for grant in key.rights.granted],
                "scopes": list(key.rights.scopes),
            }
            for key in snapshot.keys_by_id.values()
        ],
        "sources": sources.packed,
    }


def unpack(packed: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot from the JSON values that `pack` returned."""
    sources = [_Source(*source) for source in packed["sources"]]
    streams = (_unpack_stream(stream, sources) for stream in packed["streams"])
    former = (_unpack_stream(stream, sources) for stream in packed["former"])
    keys = [
        KeyDefinition(
            id=key["id"],
            service=key["service"],
            digest=bytes.fromhex(key["digest"]),
            expires=key["expires"],
            rights=KeyRights(
                (Granted(action=action, stream=on, event_type=of) for action, on, of in key["grants"]), key["scopes"]
            ),
        )
        for key in packed["keys"]
    ]
    return Snapshot(
        version=packed["version"],
        streams={stream.name: stream for stream in streams},
        former={stream.name: stream for stream in former},
        keys={key.digest: key for key in keys},
        keys_by_id={key.id: key for key in keys},
    )


class _Serializer:
    """A JSON serializer for Django's signing. Django's own takes ten times as long, which would block the event
    loop.
    """

    def dumps(self, obj: Any) -> bytes:
        return orjson.dumps(obj)

    def loads(self, data: bytes) -> Any:
        return orjson.loads(data)


class _Sources:
    """The schemas of a snapshot, each packed once."""

    def __init__(self) -> None:
        self.packed: list[Source] = []
        self._numbers: dict[int, int] = {}

    def number_of(self, document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> int:
        """Return the index of a schema in `packed`. Documents live as long as their snapshot, so `id()` identifies
        them.
        """
        if id(document) not in self._numbers:
            self._numbers[id(document)] = len(self.packed)
            self.packed.append((document, references))
        return self._numbers[id(document)]


class _Source:
    """A packed schema, unpacked on first use."""

    def __init__(self, document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> None:
        self._document = document
        self._references = references

    @cached_property
    def schema(self) -> CompiledSchema:
        """The compiled schema; one that refuses everything when it cannot be compiled."""
        try:
            return validator.compile_schema(self._document, self._references, is_registered=True)
        except BadSchema:
            return validator.compile_schema(REFUSES_ALL)

    @cached_property
    def marks(self) -> Marks | None:
        """The PII marks of the schema; everything is marked when it cannot be read."""
        try:
            found = marks_of(ReferenceResolver(self._document, self._references))
        except BadSchema:
            found = None
        return found or validator.compile_schema(REFUSES_ALL).personal


def _pack_stream(stream: StreamDefinition, sources: _Sources) -> dict[str, Any]:
    return {
        "name": stream.name,
        **{field.name: field.to_json(getattr(stream, field.name)) for field in STREAM_FIELDS},
        "event_types": {name: _pack_event_type(each, sources) for name, each in stream.event_types.items()},
        "marks": {name: [sources.number_of(*marks.source) for marks in each] for name, each in stream.marks.items()},
    }


def _pack_event_type(event_type: EventTypeDefinition, sources: _Sources) -> dict[str, Any]:
    versions = event_type.versions.values()
    return {
        **{field.name: field.to_json(getattr(event_type, field.name)) for field in OWNERSHIP_FIELDS},
        "active": event_type.contract and event_type.contract.version,
        "versions": [
            [each.subject, each.version, sources.number_of(each.schema.document, each.schema.references)]
            for each in versions
        ],
    }


def _unpack_stream(packed: Mapping[str, Any], sources: list[_Source]) -> StreamDefinition:
    event_types = {name: _unpack_event_type(name, each, sources) for name, each in packed["event_types"].items()}
    marks = {
        name: tuple(marks for number in numbers if (marks := sources[number].marks) is not None)
        for name, numbers in packed["marks"].items()
    }
    return StreamDefinition(
        name=packed["name"],
        **{field.name: field.from_json(packed[field.name]) for field in STREAM_FIELDS},
        durable_within=patience_of(packed["durability"]),
        event_types=event_types,
        types_of=ContractTypes(event_types),
        marks=marks,
    )


def _unpack_event_type(name: str, packed: Mapping[str, Any], sources: list[_Source]) -> EventTypeDefinition:
    versions = {
        version: ActiveContract(subject=subject, version=version, schema=sources[number].schema)
        for subject, version, number in packed["versions"]
    }
    owned = {field.name: packed[field.name] for field in OWNERSHIP_FIELDS}
    return EventTypeDefinition(name=name, **owned, contract=versions.get(packed["active"]), versions=versions)


def _database_address() -> list[str]:
    """Return the database's address without user and password."""
    place = connection.settings_dict
    return [str(place[name]) for name in ("ENGINE", "HOST", "PORT", "NAME")]


file = SnapshotFile(settings.VAR_DIR / "catalog-snapshot", connections.executor)
