"""Plan the changes between a catalog file and the database, and apply them.

The plan reports errors that only the database can show. It does not complain of what the database already holds, so
that an export always plans to no change: an example that a newer version of its contract made wrong, a grant whose
stream was deleted. Values were checked when the file was read.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from contracts import catalog as contracts
from contracts.models import Contract
from core import audit, catalog_version
from streams.catalog.file import (
    EVENT_TYPE,
    GRANT,
    SERVICE,
    STREAM,
    stored_event_types,
    stored_grants,
    stored_services,
    stored_streams,
)
from streams.models import EventType, Grant, Service, Stream
from synapse.auth.principal import Principal
from synapse.catalog.file import CatalogFile, nearest, quoted
from synapse.catalog.ownership import OWNERSHIP_FIELDS
from synapse.catalog.plan import Change, Values, compare, same
from synapse.catalog.stream_definitions import STREAM_FIELDS
from synapse.publishing.event_files import complaints

_Definitions = Mapping[str, Values]
_OWNED = tuple(field.name for field in OWNERSHIP_FIELDS)


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return the changes that the file asks for, and note the file's errors in it."""
    streams, event_types, grants = stored_streams(), stored_event_types(), stored_grants()
    delete_streams = delete and file.says("streams")
    delete_services = delete and file.says("services")
    _check_contracts(file, event_types)
    _check_grants(file, set(file.wanted(STREAM)) | (set() if delete_streams else set(streams)), grants)
    return [
        *compare(STREAM, file.wanted(STREAM), streams, delete=delete_streams),
        *compare(EVENT_TYPE, file.wanted(EVENT_TYPE), event_types, delete=delete_streams),
        *compare(SERVICE, file.wanted(SERVICE), stored_services(), delete=delete_services),
        *compare(GRANT, file.wanted(GRANT), grants, delete=delete_services),
    ]


def _check_contracts(file: CatalogFile, event_types: _Definitions) -> None:
    """Check that each event type's contract exists and that its example keeps it."""
    standing = contracts.standing()
    wanted = file.wanted(contracts.CONTRACT)
    for name, values in file.wanted(EVENT_TYPE).items():
        subject = values["contract"]
        place = file.place_of(EVENT_TYPE, name)
        if subject is not None and subject not in wanted and subject not in standing:
            known = {*wanted, *standing}
            file.refuse((*place, "contract"), f"there is no contract {quoted(subject)}; {nearest(subject, known)}")
        old = standing[subject].schema if subject in standing else None
        new = wanted.get(subject, {}).get("schema", old) if subject else None
        before = event_types.get(name)
        if before and before["contract"] == subject and same(before["example"], values["example"]) and same(old, new):
            continue
        for pointer, message in complaints(values, new):
            file.refuse((*place, "example"), message, pointer)


def _check_grants(file: CatalogFile, streams: set[str], grants: _Definitions) -> None:
    """Check that the streams of new grants exist. A pattern may match none yet."""
    for name, values in file.wanted(GRANT).items():
        stream = values["stream"]
        if "*" not in stream and stream not in streams and name not in grants:
            message = f"there is no stream {quoted(stream)}; {nearest(stream, streams)}"
            file.refuse((*file.place_of(GRANT, name), "stream"), message)


# What tells a row from the others, and its other columns.
_Row = tuple[dict[str, Any], dict[str, Any]]


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Apply changes of the plan in the caller's transaction, and record them in the audit log.

    Rows of one kind that follow each other are created in few statements.
    """
    for (action, kind), group in groupby(changes, key=attrgetter("action", "kind")):
        same = list(group)
        model, row_of = _MODELS[kind]
        rows = row_of(same)
        if action == "create":
            catalog_version.bump()
            model.objects.bulk_create(model(**key, **columns) for key, columns in rows)
        else:
            for key, columns in rows:
                _change(model.objects.get(**key), columns if action == "update" else None)
        audit.record_all(by, action, [(f"{kind} {each.name}", each.before, each.after) for each in same])


def _streams(changes: Sequence[Change]) -> list[_Row]:
    rows = []
    for change in changes:
        columns = dict(change.after or {})
        changed = (field for field in STREAM_FIELDS if field.name in columns)
        columns |= {field.name: field.from_file(columns[field.name]) for field in changed}
        rows.append(({"name": change.name}, columns))
    return rows


def _event_types(changes: Sequence[Change]) -> list[_Row]:
    names = [change.name.split("/") for change in changes]
    streams = Stream.objects.in_bulk(list({stream for stream, _ in names}), field_name="name")
    subjects = {subject for change in changes if (subject := (change.after or {}).get("contract")) is not None}
    contracts: dict[str | None, Contract | None] = {None: None}
    contracts |= Contract.objects.in_bulk(list(subjects), field_name="subject")
    rows = []
    for change, (stream, name) in zip(changes, names, strict=True):
        columns = _chosen(change.after or {}, ("description", *_OWNED, "example"))
        if "contract" in (change.after or {}):
            columns["contract"] = contracts[(change.after or {})["contract"]]
        rows.append(({"stream": streams[stream], "name": name}, columns))
    return rows


def _services(changes: Sequence[Change]) -> list[_Row]:
    return [({"name": change.name}, dict(change.after or {})) for change in changes]


def _grants(changes: Sequence[Change]) -> list[_Row]:
    # All of a grant is its identity: it is made or deleted, never changed.
    values = [change.before or change.after or {} for change in changes]
    services = Service.objects.in_bulk(list({each["service"] for each in values}), field_name="name")
    return [
        ({"service": services[each["service"]], **_chosen(each, ("action", "stream", "event_type"))}, {})
        for each in values
    ]


_MODELS: dict[str, tuple[Any, Callable[[Sequence[Change]], list[_Row]]]] = {
    STREAM: (Stream, _streams),
    EVENT_TYPE: (EventType, _event_types),
    SERVICE: (Service, _services),
    GRANT: (Grant, _grants),
}


def _change(row: Any, columns: dict[str, Any] | None) -> None:
    """Update a row, or delete it (None)."""
    if columns is None:
        row.delete()
        return
    for column, value in columns.items():
        setattr(row, column, value)
    row.save()


def _chosen(values: Values, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}
