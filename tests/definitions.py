"""Helpers that define streams, contracts, and services with keys in a test."""

from copy import deepcopy
from functools import cache
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Field, Model
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
    with transaction.atomic():
        catalog_version.bump()
        stream, is_new = Stream(name=name), not _number_in(Stream, name=name)
        if not is_new:
            stream = Stream.objects.get(name=name)
        for column, value in columns.items():
            setattr(stream, column, value)
        if is_new:
            _insert(stream)
        else:
            stream.save()
        there = {} if is_new else {row.name: row for row in stream.event_types.all()}
        for type_name, schema in (event_types or {}).items():
            event_type = there.get(type_name) or EventType(stream=stream, name=type_name)
            if schema is not None:
                event_type.contract = contract(event_type.own_subject, schema).contract
            if event_type._state.adding:
                _insert(event_type)
            elif schema is not None:
                event_type.save()
    holder.forget()
    return stream


def contract(subject: str, schema: dict[str, Any]) -> ContractVersion:
    """Activate a version of a contract.

    Registering takes forty statements, and tests register the same few schemas by the thousand. The rows of a first
    version are therefore written again as the registry wrote them before.
    """
    text = validator.canonical_text(schema)
    is_new = not any(_number_in(model, subject=subject) for model in (Contract, RemovedContract))
    if is_new and (rows := _registered.get((subject, text))):
        version = _written_again(*rows)
    else:
        version = registry.register(subject, text, by=SYSTEM)
        if is_new and version.schema is not None:
            # Copies: a test may change the rows that it gets.
            _registered[subject, text] = deepcopy((version.contract, version.schema, version))
    holder.forget()
    return version


def _written_again(contract: Contract, schema: Schema, version: ContractVersion) -> ContractVersion:
    with transaction.atomic():
        catalog_version.bump()
        owner = _insert_again(contract)
        is_there = _number_in(Schema, digest=schema.digest)
        kept = Schema.objects.get(digest=schema.digest) if is_there else _insert_again(schema)
        written = _insert_again(version, contract=owner, schema=kept, activated_at=timezone.now())
        audit.record(SYSTEM, "activate", owner, after={"version": written.number, "schema": kept.pk})
    return written


def _insert_again(row: Row, **columns: Any) -> Row:
    """Insert a row like this one, with other values in some columns."""
    return _insert(type(row)(**{field.name: getattr(row, field.name) for field in _columns_of(type(row))} | columns))


def _insert(row: Row) -> Row:
    """Insert a row as Django does. Django makes the text of the statement anew each time, which takes ten times as long
    as running it."""
    kind = type(row)
    given = [field.get_db_prep_save(field.pre_save(row, True), connection) for field in _columns_of(kind)]
    ((row.pk,),) = _asked(_insertion_of(kind), given)
    row._state.adding, row._state.db = False, connection.alias
    return row


@cache
def _columns_of(kind: type[Model]) -> list[Field]:
    return [field for field in kind._meta.concrete_fields if not field.primary_key]


@cache
def _insertion_of(kind: type[Model]) -> str:
    names = ", ".join(f'"{field.column}"' for field in _columns_of(kind))
    values = ", ".join(["%s"] * len(_columns_of(kind)))
    return f'INSERT INTO "{kind._meta.db_table}" ({names}) VALUES ({values}) RETURNING "{kind._meta.pk.column}"'


def _number_in(kind: type[Model], **value: Any) -> int:
    """Return how many rows have a value in a column."""
    ((column, text),) = value.items()
    return _asked(f'SELECT count(*) FROM "{kind._meta.db_table}" WHERE "{column}" = %s', [text])[0][0]


def _asked(statement: str, given: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall()


def key_of(
    service: str,
    *,
    publishes: tuple[str, ...] | list[str] = (),
    subscribes: tuple[str, ...] | list[str] = (),
    scopes: tuple[str, ...] | list[str] = (),
) -> str:
    """Issue a key of a service with these grants, and return it."""
    wanted = [(Grant.Action.PUBLISH, grant) for grant in publishes]
    wanted += [(Grant.Action.SUBSCRIBE, grant) for grant in subscribes]
    with transaction.atomic():
        catalog_version.bump()
        is_new = not _number_in(Service, name=service)
        row = _insert(Service(name=service)) if is_new else Service.objects.get(name=service)
        there = set() if is_new else set(row.grants.values_list("action", "stream", "event_type"))
        for action, grant in wanted:
            stream, _, event_type = grant.partition("/")
            found = (action.value, stream, event_type or "*")
            if found not in there:
                there.add(found)
                _insert(Grant(service=row, action=action, stream=stream, event_type=event_type or "*"))
    issued = key_issuance.issue(service, by=SYSTEM, scopes=scopes)
    # What tells the process comes after the commit, and no test commits.
    holder.forget()
    return issued.text
