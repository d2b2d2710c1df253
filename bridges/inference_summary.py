"""Statistics of the archived inference events of a period, by model, aggregated by the database.

The newest events of the time are looked at, a bounded number of them, each once however many bridges keep it. PII
in them is left out for those who may not see it: the events count, as of no model, or without a latency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from bridges.models import ArchivedEvent
from streams.snapshot import holder
from synapse.auth.principal import PERSONAL, SYSTEM, Principal
from synapse.schema.pii import MASK
from synapse.wire.masking import mask_of_type

STREAM, COMPLETE, ERROR = "inference-events", "inference-complete", "inference-error"
MOST_EVENTS = 20_000
MOST_MODELS = 50

_PROPERTIES = {"latency": "latency_ms", "model": "model_name"}
# JSON numbers and texts alone: what another program wrote in their place counts as missing.
_JSON = {
    "sqlite": {
        "latency": "CASE WHEN json_type(event, '$.latency_ms') IN ('integer', 'real') "
        "THEN CAST(json_extract(event, '$.latency_ms') AS REAL) END",
        "model": "CASE WHEN json_type(event, '$.model_name') = 'text' THEN json_extract(event, '$.model_name') END",
    },
    "postgresql": {
        "latency": "CASE WHEN jsonb_typeof(event -> 'latency_ms') = 'number' "
        "THEN (event ->> 'latency_ms')::double precision END",
        "model": "CASE WHEN jsonb_typeof(event -> 'model_name') = 'string' THEN event ->> 'model_name' END",
    },
}

# The 95th percentile by nearest rank: the smallest latency that 95 of 100 do not exceed.
_SQL = """
WITH newest AS (
    SELECT entry_id, event_type, event FROM {table}
    WHERE stream = %s AND event_type IN (%s, %s) AND published_at >= %s
    ORDER BY published_at DESC LIMIT %s
), events AS (
    SELECT DISTINCT entry_id, event_type = %s AS complete, {model} AS model,
        CASE WHEN event_type = %s THEN {latency} END AS latency
    FROM newest
), ranked AS (
    SELECT {group} AS name, complete, latency,
        ROW_NUMBER() OVER (PARTITION BY {group} ORDER BY CASE WHEN latency IS NULL THEN 1 ELSE 0 END, latency) AS place,
        COUNT(latency) OVER (PARTITION BY {group}) AS measured
    FROM events
)
SELECT name,
    SUM(CASE WHEN complete THEN 1 ELSE 0 END),
    SUM(CASE WHEN complete THEN 0 ELSE 1 END),
    AVG(latency),
    MAX(CASE WHEN place = (measured * 95 + 99) / 100 THEN latency END),
    (SELECT COUNT(*) FROM newest)
FROM ranked GROUP BY name ORDER BY COUNT(*) DESC, name LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Statistics of one model, or of all (`model` ""): inferences ended, inferences failed, latencies in milliseconds.

    A latency is None where no event tells one.
    """

    model: str
    complete: int
    errors: int
    mean_ms: float | None
    p95_ms: float | None

    @property
    def events(self) -> int:
        """Return the number of events."""
        return self.complete + self.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All inferences since some moment, and those of each model, the busiest first. `cut`: there may be more."""

    total: Row
    models: Sequence[Row]
    cut: bool


def since(moment: datetime, *, by: Principal = SYSTEM) -> Summary:
    """Return the summary of the events published since a moment, as `by` may see it."""
    read = {name: "NULL" if name in _hidden_from(by) else sql for name, sql in _JSON[connection.vendor].items()}
    total, looked_at = _rows(moment, read, group="''", most=1)
    whole = total[0] if total else Row(model="", complete=0, errors=0, mean_ms=None, p95_ms=None)
    models, _ = _rows(moment, read, group="COALESCE(model, '')", most=MOST_MODELS)
    return Summary(total=whole, models=models, cut=looked_at >= MOST_EVENTS)


def _hidden_from(by: Principal) -> set[str]:
    """Return the properties among `_JSON` that are masked for the caller."""
    if by.rights.has(PERSONAL):
        return set()
    stream = holder.current().shown(STREAM)
    masks = [mask for event_type in (COMPLETE, ERROR) if (mask := mask_of_type(stream, event_type))]
    seen = [mask.event({"model_name": "a", "latency_ms": 1}) for mask in masks]
    return {name for name, property_ in _PROPERTIES.items() if any(event[property_] == MASK for event in seen)}


def _rows(moment: datetime, read: Mapping[str, str], *, group: str, most: int) -> tuple[list[Row], int]:
    """Return the rows of the groups, and how many archived events were read."""
    sql = _SQL.format(table=ArchivedEvent._meta.db_table, group=group, **read)
    start: Any = connection.ops.adapt_datetimefield_value(moment)
    with connection.cursor() as cursor:
        cursor.execute(sql, [STREAM, COMPLETE, ERROR, start, MOST_EVENTS, COMPLETE, COMPLETE, most])
        found = cursor.fetchall()
    rows = [
        Row(model=name, complete=int(complete), errors=int(errors), mean_ms=mean, p95_ms=p95)
        for name, complete, errors, mean, p95, _ in found
    ]
    return rows, found[0][-1] if found else 0
