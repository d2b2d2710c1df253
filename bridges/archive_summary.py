"""Statistics of archived events for a stream's declared summaries, aggregated by the database.

They cover a bounded number of the newest events since a time. An event that several bridges archive counts once. PII is
left out for callers who may not see it: such events count without a name or without a measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from bridges.models import ArchivedEvent
from streams.snapshot import holder
from synapse.auth.principal import PERSONAL, SYSTEM, Principal
from synapse.catalog.summaries import Summary
from synapse.schema.pii import MASK
from synapse.wire.masking import mask_of_type

MOST_EVENTS = 20_000
MOST_ROWS = 50

# Only JSON numbers and strings count; other types count as missing. Names of properties have only letters, digits, _
# and - (synapse.catalog.summaries), so formatting them into SQL is safe.
_JSON = {
    "sqlite": {
        "measure": "CASE WHEN json_type(event, '$.\"{0}\"') IN ('integer', 'real') "
        "THEN CAST(json_extract(event, '$.\"{0}\"') AS REAL) END",
        "by": "CASE WHEN json_type(event, '$.\"{0}\"') = 'text' THEN json_extract(event, '$.\"{0}\"') END",
    },
    "postgresql": {
        "measure": "CASE WHEN jsonb_typeof(event -> '{0}') = 'number' THEN (event ->> '{0}')::double precision END",
        "by": "CASE WHEN jsonb_typeof(event -> '{0}') = 'string' THEN event ->> '{0}' END",
    },
}

# PostgreSQL treats a NULL without a type as text.
_MISSING = {"measure": "CAST(NULL AS double precision)", "by": "NULL"}
# The 95th percentile by nearest rank: the smallest measure that 95 of 100 do not exceed.
_SQL = """
WITH newest AS (
    SELECT entry_id, event_type, event FROM {table}
    WHERE stream = %s AND event_type IN ({types}) AND published_at >= %s
    ORDER BY published_at DESC LIMIT %s
), events AS (
    SELECT DISTINCT entry_id, event_type IN ({completed}) AS complete, {by} AS name,
        CASE WHEN event_type IN ({completed}) THEN {measure} END AS measure
    FROM newest
), ranked AS (
    SELECT {group} AS name, complete, measure,
        ROW_NUMBER() OVER (PARTITION BY {group} ORDER BY CASE WHEN measure IS NULL THEN 1 ELSE 0 END, measure) AS place,
        COUNT(measure) OVER (PARTITION BY {group}) AS measured
    FROM events
)
SELECT name,
    SUM(CASE WHEN complete THEN 1 ELSE 0 END),
    SUM(CASE WHEN complete THEN 0 ELSE 1 END),
    AVG(measure),
    MAX(CASE WHEN place = (measured * 95 + 99) / 100 THEN measure END),
    (SELECT COUNT(*) FROM newest)
FROM ranked GROUP BY name ORDER BY COUNT(*) DESC, name LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTotals:
    """Statistics of the events of one name, or of all names (`name` ""): completed and failed events, and the measure.

    `mean` and `p95` are None when no event has the measure.
    """

    name: str
    completed: int
    failed: int
    mean: float | None
    p95: float | None

    @property
    def events(self) -> int:
        """The number of events."""
        return self.completed + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The totals of a summary, overall and by name, the busiest name first. `cut`: not all events were counted."""

    total: EventTotals
    rows: Sequence[EventTotals]
    cut: bool


def totals_since(stream: str, summary: Summary, moment: datetime, *, by: Principal = SYSTEM) -> Totals:
    """Return the totals of events published since a time, as `by` may see them."""
    hidden = _hidden_from(by, stream, summary)
    names = {"by": summary.by, "measure": summary.measure}
    read = {
        part: sql.format(names[part]) if names[part] and names[part] not in hidden else _MISSING[part]
        for part, sql in _JSON[connection.vendor].items()
    }
    total, looked_at = _query_rows(stream, summary, moment, read, group="''", most=1)
    whole = total[0] if total else EventTotals(name="", completed=0, failed=0, mean=None, p95=None)
    rows, _ = _query_rows(stream, summary, moment, read, group="COALESCE(name, '')", most=MOST_ROWS)
    return Totals(total=whole, rows=rows if summary.by else [], cut=looked_at >= MOST_EVENTS)


def _hidden_from(by: Principal, stream: str, summary: Summary) -> set[str]:
    """Return the properties of the summary that are masked for the caller."""
    if by.rights.has(PERSONAL):
        return set()
    shown = holder.current().display_definition(stream)
    types = (*summary.completed, *summary.failed)
    masks = [mask for event_type in types if (mask := mask_of_type(shown, event_type))]
    names = {name for name in (summary.by, summary.measure) if name}
    seen = [mask.event({name: 1 if name == summary.measure else "a" for name in names}) for mask in masks]
    return {name for name in names if any(event[name] == MASK for event in seen)}


def _query_rows(
    stream: str, summary: Summary, moment: datetime, read: Mapping[str, str], *, group: str, most: int
) -> tuple[list[EventTotals], int]:
    """Return the totals of each group, and the number of archived events that were read."""
    completed, types = summary.completed, (*summary.completed, *summary.failed)
    places = {"completed": _placeholders(completed), "types": _placeholders(types)}
    sql = _SQL.format(table=ArchivedEvent._meta.db_table, group=group, **places, **read)
    start: Any = connection.ops.adapt_datetimefield_value(moment)
    with connection.cursor() as cursor:
        cursor.execute(sql, [stream, *types, start, MOST_EVENTS, *completed, *completed, most])
        found = cursor.fetchall()
    rows = [
        EventTotals(name=name, completed=int(complete), failed=int(errors), mean=mean, p95=p95)
        for name, complete, errors, mean, p95, _ in found
    ]
    return rows, found[0][-1] if found else 0


def _placeholders(values: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))
