"""Archived events: the rows of delivered events, their masking, and the space that they take.

Characters that databases cannot store are replaced, and noted in the row.
"""

from copy import copy
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from bridges.models import ArchivedEvent
from streams.snapshot import holder
from synapse.auth.principal import PERSONAL, Principal
from synapse.delivery.sink import Delivery
from synapse.formats import exact_json
from synapse.schema.pii import MASK
from synapse.wire.ids import moment_of
from synapse.wire.masking import mask_of_event

_MOST_CHARACTERS = 200
_NUL, _REPLACEMENT = "\x00", "�"
_NUL_NOTE = "NUL characters were replaced by U+FFFD."
# The property under which an event is stored as text when the database refuses it as JSON.
_REFUSED = "refused_by_database"


def row_of(delivery: Delivery, *, bridge: int) -> ArchivedEvent:
    """Return the row of an event, not yet saved.

    NUL is replaced everywhere, because PostgreSQL can store it neither in text nor in JSON (its manual, 8.14).
    """
    event, note = delivery.event, ""
    if any(b"\x00" in part or b"\\u0000" in part for part in delivery.parts):
        cleaned = _without_nul(event)
        note = _NUL_NOTE if cleaned != event else ""
        event = cleaned
    return _build_row(delivery, bridge, event, note)


def row_without_event(delivery: Delivery, *, bridge: int) -> ArchivedEvent:
    """Return a row for an event that the database refuses: it holds the event as text."""
    text = delivery.event
    return _build_row(delivery, bridge, {_REFUSED: _without_nul(_text_of(text))}, "Kept as a text: it was refused.")


def mask_for_reader(kept: ArchivedEvent, by: Principal) -> ArchivedEvent:
    """Return the row for display, with PII masked unless the caller may see it. Never save it."""
    event = kept.event if isinstance(kept.event, dict) else {}
    mask = mask_of_event(holder.current().display_definition(kept.stream), event, kept.event_type)
    if mask is None or by.rights.has(PERSONAL):
        return kept
    seen = copy(kept)
    seen.event = {_REFUSED: MASK} if _REFUSED in event else mask.event(kept.event)
    seen.source = mask.text(kept.source, event)
    if _REFUSED in event or seen.event.get("timestamp") != event.get("timestamp"):
        seen.occurred_at = kept.published_at
    return seen


def _build_row(delivery: Delivery, bridge: int, event: dict[str, Any], note: str) -> ArchivedEvent:
    # An id that another program chose may not be a valid time.
    published = moment_of(delivery.id) or datetime.now(UTC)
    return ArchivedEvent(
        bridge_id=bridge,
        stream=delivery.stream,
        entry_id=delivery.id,
        event_type=_shorten_text(delivery.event_type),
        occurred_at=_moment_of_text(delivery.timestamp) or published,
        published_at=published,
        source=_shorten_text(delivery.source or ""),
        event=event,
        note=note,
    )


def _moment_of_text(text: str | None) -> datetime | None:
    """Parse a publisher's time (ISO 8601; UTC without a zone). Return None when it is invalid."""
    try:
        moment = datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shorten_text(text: str) -> str:
    """Shorten a text to the length of its column; the event has the full text."""
    return _without_nul(text[:_MOST_CHARACTERS])  # type: ignore[no-any-return]  # a string stays a string


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_NUL, _REPLACEMENT)
    if isinstance(value, dict):
        return {_without_nul(name): _without_nul(inner) for name, inner in value.items()}
    return [_without_nul(inner) for inner in value] if isinstance(value, list) else value


def _text_of(event: dict[str, Any]) -> str:
    try:
        return exact_json.dumps(event).decode()
    except orjson.JSONEncodeError:
        return repr(event)


# The bytes that a row takes in PostgreSQL besides its values: header, pointer in the page, and entries of indexes.
_POSTGRESQL_OVERHEAD = 200
_SAMPLE = 1_000


def archive_bytes() -> int:
    """Return the number of bytes that archived events take.

    On SQLite this is the size of the whole database without free pages, most of which is archived events. On
    PostgreSQL, where deleted rows keep their space, it is the number of rows times the mean size of the newest ones.
    """
    table = ArchivedEvent._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            pages = []
            for pragma in ("page_count", "freelist_count", "page_size"):
                cursor.execute(f"PRAGMA {pragma}")
                pages.append(int(cursor.fetchone()[0]))
            count, free, size = pages
            return (count - free) * size
        cursor.execute("SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = %s::regclass", [table])
        (rows,) = cursor.fetchone()
        newest = f"SELECT * FROM {table} ORDER BY id DESC LIMIT %s"  # noqa: S608  # the name is the model's
        cursor.execute(f"SELECT avg(pg_column_size(newest)) FROM ({newest}) AS newest", [_SAMPLE])  # noqa: S608
        (mean,) = cursor.fetchone()
    return int(rows * (float(mean or 0) + _POSTGRESQL_OVERHEAD))


def delete_oldest(count: int) -> int:
    """Delete the `count` events that were archived first, of all bridges. Return the number of deleted events."""
    oldest = list(ArchivedEvent.objects.order_by("id").values_list("id", flat=True)[:count])
    if not oldest:
        return 0
    deleted, _ = ArchivedEvent.objects.filter(id__lte=oldest[-1]).delete()
    return deleted
