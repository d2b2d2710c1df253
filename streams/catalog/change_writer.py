"""Changes of the catalog, carried out. Values were checked when the file was read."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from contracts.models import Contract
from core import audit, catalog_version
from streams.catalog.file import (
    DURATIONS,
    EVENT_TYPE,
    GRANT,
    SERVICE,
    STREAM,
)
from streams.models import EventType, Grant, Service, Stream
from synapse.auth.principal import Principal
from synapse.catalog.plan import Change, Values
from synapse.formats import iso_duration

# What tells a row from the others, and its other columns.
_Row = tuple[dict[str, Any], dict[str, Any]]


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Carry out changes of the plan, in the transaction of the caller, and record them.

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
        for key in DURATIONS:
            if columns.get(key) is not None:
                columns[key] = iso_duration.parse(columns[key])
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
        columns = _chosen(change.after or {}, ("description", "example"))
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
