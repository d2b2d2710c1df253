"""The definitions that the database holds, in the form that `reading` gives: one query a kind."""

from typing import Any

from streams.catalog.file import DURATIONS, STREAM_KEYS, grant_name
from streams.models import EventType, Grant, Service, Stream
from synapse.catalog.plan import Values
from synapse.formats import iso_duration

_COLUMNS = tuple(key for key in STREAM_KEYS if key != "event_types")


def streams() -> dict[str, Values]:
    """Return every stream by name."""
    rows = Stream.objects.values(*_COLUMNS)
    return dict(sorted((row.pop("name"), {**row, **_durations(row)}) for row in rows))


def event_types() -> dict[str, Values]:
    """Return every event type by `stream/name`. `contract` is a subject or None."""
    rows = EventType.objects.order_by().values_list(
        "stream__name", "name", "description", "contract__subject", "example"
    )
    keys = ("stream", "name", "description", "contract", "example")
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    return {f"{each['stream']}/{each['name']}": each for each in sorted(found, key=_stream_and_name)}


def services() -> dict[str, Values]:
    """Return every service by name."""
    rows = Service.objects.values_list("name", "description")
    return {name: {"description": description} for name, description in sorted(rows)}


def grants() -> dict[str, Values]:
    """Return every grant by the words that name it."""
    rows = Grant.objects.order_by().values_list("service__name", "action", "stream", "event_type")
    found = [dict(zip(("service", "action", "stream", "event_type"), row, strict=True)) for row in sorted(rows)]
    return {grant_name(each): each for each in found}


def _durations(row: dict[str, Any]) -> dict[str, str | None]:
    return {key: None if row[key] is None else iso_duration.text_of(row[key]) for key in DURATIONS}


def _stream_and_name(values: dict[str, Any]) -> tuple[str, str]:
    return values["stream"], values["name"]
