"""A catalog with many streams, each with its own event type and contract, and a server with this catalog.

Run as `python -m benchmarks.running.many COUNT`, it defines them in the database of the settings. It writes rows
directly, because the admin and catalog files would compare and audit each contract, which is not measured. No server
uses the database yet, so none has to be notified.
"""

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import django
import redis

from benchmarks.events import EVENT, STREAM
from benchmarks.running import synapse
from benchmarks.running.program import Program
from benchmarks.running.valkey import Valkey

_PATIENCE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """An installation with many streams, in a database and a Redis of its own, so that no other benchmark is
    disturbed."""

    count: int
    folder: Path
    settings: Mapping[str, str]
    valkey: Valkey

    @classmethod
    def made(cls, folder: Path, settings: Mapping[str, str], server: Valkey, count: int, place: int) -> Self:
        """Define the streams in a copy of the database of `settings`, for the Redis database number `place`."""
        folder.mkdir()
        database = folder / "synapse.sqlite3"
        with closing(sqlite3.connect(_path(settings))) as old, closing(sqlite3.connect(database)) as new:
            old.backup(new)
        redis_url = f"{server.endpoint.url.rpartition('/')[0]}/{place}"
        own = {"DATABASE_URL": f"sqlite:///{database}", "REDIS_URL": redis_url, "SYNAPSE_VAR": str(folder)}
        crowd = cls(
            count=count,
            folder=folder,
            settings={**settings, **own},
            valkey=Valkey(endpoint=server.endpoint, client=redis.Redis.from_url(redis_url, socket_timeout=30)),
        )
        crowd._define()
        return crowd

    @property
    def last(self) -> str:
        """The name of the last of the streams."""
        return name_of(self.count)

    def serving(self) -> AbstractContextManager[Program]:
        """Return a context manager that runs a server with these streams."""
        return synapse.serving(self.folder, self.settings)

    def _define(self) -> None:
        synapse.run_module(self.settings, "benchmarks.running.many", str(self.count))


def name_of(number: int) -> str:
    """Return the name of one of the streams, from 1."""
    return f"many-{number:05d}"


def define(count: int) -> None:
    """Create the streams, each with a schema that differs from all others."""
    from django.db import transaction  # noqa: PLC0415 - needs Django, as all imports here
    from django.utils import timezone  # noqa: PLC0415

    from contracts.models import Contract, ContractVersion, Schema, guid_of  # noqa: PLC0415
    from contracts.registry.content import Content  # noqa: PLC0415
    from streams.models import EventType, Stream  # noqa: PLC0415

    names = [name_of(number) for number in range(1, count + 1)]
    event_type = EVENT["event_type"]
    contents = [Content(text=text) for text in _texts(_document(), names)]
    with transaction.atomic():
        streams = Stream.objects.bulk_create([Stream(name=name) for name in names])
        contracts = Contract.objects.bulk_create(
            [Contract(subject=f"{name}.{event_type}", highest=1) for name in names]
        )
        schemas = Schema.objects.bulk_create(
            [
                Schema(text=one.text, digest=one.digest, guid=guid_of(one.digest), meaning=one.meaning)
                for one in contents
            ]
        )
        ContractVersion.objects.bulk_create(
            [
                ContractVersion(contract=contract, schema=schema, number=1, state="active", activated_at=timezone.now())
                for contract, schema in zip(contracts, schemas, strict=True)
            ]
        )
        EventType.objects.bulk_create(
            [
                EventType(stream=stream, name=event_type, contract=contract)
                for stream, contract in zip(streams, contracts, strict=True)
            ]
        )


def _path(settings: Mapping[str, str]) -> str:
    return settings["DATABASE_URL"].removeprefix("sqlite:///")


def _document() -> dict[str, Any]:
    """Return the schema that the platform's catalog has for the event."""
    from contracts.models import Schema  # noqa: PLC0415

    subject = f"{STREAM}.{EVENT['event_type']}"
    found = Schema.objects.get(versions__contract__subject=subject, versions__state="active")
    document: dict[str, Any] = json.loads(found.text)
    return document


def _texts(document: dict[str, Any], names: list[str]) -> list[str]:
    return [json.dumps(document | {"title": f"Inference complete, on {name}"}) for name in names]


if __name__ == "__main__":
    django.setup()
    define(int(sys.argv[1]))
