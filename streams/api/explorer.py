"""Exports of events: the event loop answers; Django alone says so."""

from typing import NoReturn

from streams.live import export
from streams.live.tickets import person_or_key
from streams.snapshot import holder
from synapse.endpoints import Call, EventLoop, Meaning, endpoint
from synapse.errors.streams import EventLoopOnly
from synapse.explorer.export import Export, ExportQuery
from synapse.http.exchange import Request, StreamedResponse
from synapse.publishing.body import NDJSON

_TEXT = {"type": "string"}


async def _export(request: Request) -> StreamedResponse:
    return await export.export(export_events.call(request, holder.current()))


@endpoint(
    "GET",
    "/export/events",
    "Export events",
    {
        (200, NDJSON): Meaning(_TEXT, "A line for each event. A last line with `incomplete` is of an early end."),
        (200, "text/csv"): Meaning(_TEXT, "A table (RFC 4180). A last line with `#incomplete` is of an early end."),
    },
    tag="events",
    query=ExportQuery,
    problems=[403, 404, 409, 501, 503],
    on_event_loop=EventLoop(handler=_export, is_endless=True, identify=person_or_key),
)
def export_events(call: Call[ExportQuery, None]) -> NoReturn:
    """All events that a search finds, as `GET /events` finds them, in one answer: a line for each, or a table. One
    export looks at a million entries at most. When it ends early, its last line says why, with the `next` that
    continues it."""
    Export(call.query, call.catalog, call.by)
    raise EventLoopOnly("Events are exported on the event loop: ask the server that `manage.py serve` or `up` runs.")
