"""One change of the catalog, carried out. Values were checked when the file was read."""

from collections.abc import Callable
from typing import Any

from contracts.models import Contract
from core import audit, iso_duration
from core.plan import Change, Values
from core.principal import Principal
from streams.catalog.reading import DURATIONS, EVENT_TYPE, GRANT, SERVICE, STREAM
from streams.models import EventType, Grant, Service, Stream


def apply(change: Change, *, by: Principal) -> None:
    """Carry out one change of the plan, in the transaction of the caller, and record it."""
    _WRITERS[change.kind](change)
    audit.record(by, change.action, f"{change.kind} {change.name}", before=change.before, after=change.after)


def _write_stream(change: Change) -> None:
    columns = dict(change.after or {})
    for key in DURATIONS:
        if columns.get(key) is not None:
            columns[key] = iso_duration.parse(columns[key])
    _write(change, Stream, {"name": change.name}, columns)


def _write_event_type(change: Change) -> None:
    stream, name = change.name.split("/")
    columns = _chosen(change.after or {}, ("description", "example"))
    if "contract" in (change.after or {}):
        subject = (change.after or {})["contract"]
        columns["contract"] = None if subject is None else Contract.objects.get(subject=subject)
    _write(change, EventType, {"stream": Stream.objects.get(name=stream), "name": name}, columns)


def _write_service(change: Change) -> None:
    _write(change, Service, {"name": change.name}, dict(change.after or {}))


def _write_grant(change: Change) -> None:
    # All of a grant is its identity: it is made or deleted, never changed.
    values = change.before or change.after or {}
    key = _chosen(values, ("action", "stream", "event_type"))
    _write(change, Grant, {"service": Service.objects.get(name=values["service"]), **key}, {})


_WRITERS: dict[str, Callable[[Change], None]] = {
    STREAM: _write_stream,
    EVENT_TYPE: _write_event_type,
    SERVICE: _write_service,
    GRANT: _write_grant,
}


def _write(change: Change, model: Any, key: dict[str, Any], columns: dict[str, Any]) -> None:
    """Create, update or delete a row. Each save and delete raises the catalog's version number."""
    if change.action == "create":
        model.objects.create(**key, **columns)
        return
    row = model.objects.get(**key)
    if change.action == "delete":
        row.delete()
        return
    for column, value in columns.items():
        setattr(row, column, value)
    row.save()


def _chosen(values: Values, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}
