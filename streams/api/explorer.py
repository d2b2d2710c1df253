"""Endpoints that export the events of a search, which only the event loop answers, and that import events."""

from typing import Any, Literal, NoReturn

from streams import connections
from streams.api.publish import KEY, large_batch
from streams.connections import LARGE_BATCHES
from streams.live import export
from streams.live.tickets import identify_person_or_key
from streams.snapshot import holder
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Call, EventLoop, Example, Meaning, Query, about, endpoint, maybe
from synapse.errors.streams import EventLoopOnly
from synapse.explorer.export import Export, ExportQuery
from synapse.http.exchange import Request, Response, StreamedResponse
from synapse.publishing import imports
from synapse.publishing.body import NDJSON
from synapse.redis import Conversation

_TEXT = {"type": "string"}


async def _export_events(request: Request) -> StreamedResponse:
    return await export.answer_export(export_events.check_request(request, holder.current()))


@endpoint(
    "GET",
    "/export/events",
    "Export events",
    {
        (200, NDJSON): Meaning(
            _TEXT, "A line for each event. A last line with `incomplete` means that the export ended early."
        ),
        (200, "text/csv"): Meaning(
            _TEXT, "A table (RFC 4180). A last line with `#incomplete` means that the export ended early."
        ),
    },
    tag="events",
    query=ExportQuery,
    problems=[403, 404, 409, 501, 503],
    on_event_loop=EventLoop(handler=_export_events, is_endless=True, identify=identify_person_or_key),
)
def export_events(call: Call[ExportQuery, None]) -> NoReturn:
    """All events that a search finds, as `GET /events` finds them, in one answer: a line for each, or a table. One
    export looks at a million entries at most. When it ends early, its last line says why, with the `next` that
    continues it."""
    Export(call.query, call.catalog, call.by)
    raise EventLoopOnly("Events are exported on the event loop: ask the server that `manage.py serve` or `up` runs.")


class ImportQuery(Query):
    """How lines are imported."""

    dry_run: Literal["true", "false"] = about("`true`: check each line, and store nothing.", default="false")


class LineError(Answer):
    """Why a line was not stored, or would not be."""

    line: int = about("Its number in the body, from 1.")
    type: str
    message: str
    pointer: str = maybe("JSON Pointer to the value that breaks the contract.")
    keyword: str = maybe()
    schema_pointer: str = maybe()
    id: str = maybe("The id of an event that may be stored nevertheless.")


class ImportReport(Answer):
    """The result of an import."""

    stream: str
    dry_run: bool
    lines: int = about("Lines that are not empty.")
    accepted: int = about("Lines that are stored, or would be.")
    repeated: int = about("Accepted lines that were imported before, and are not stored again.")
    warned: int = about("Accepted lines that break a contract, on a stream that only warns.")
    rejected: int = about("Lines that are no event, or not an event that the caller may publish here.")
    aborted: int = about("Lines that are good, and are not stored: Redis could not take them.")
    errors: list[LineError] = about(f"Why lines were not stored: the first {imports.MOST_ERRORS}.")


_REPORT: dict[str, Any] = {
    "stream": "inference-events",
    "dry_run": False,
    **{"lines": 3, "accepted": 2, "repeated": 1, "warned": 0, "rejected": 1, "aborted": 0},
    "errors": [{"line": 3, "type": "urn:synapse:problem:bad-event", "message": "This is not JSON."}],
}


@endpoint(
    "POST",
    "/streams/{stream}/import",
    "Import events",
    {200: Meaning(ImportReport, "All lines are good."), 207: Meaning(ImportReport, "Some lines are good.")},
    tag="events",
    query=ImportQuery,
    requires=Requirement(publish=True),
    of_stream=True,
    problems=[413, 415, 422],
    on_event_loop=EventLoop(queue=LARGE_BATCHES, size=large_batch),
    stores=lambda call: call.stream.name,
    documented_body={NDJSON: {**_TEXT, "description": "An event, or a row of an export, a line."}},
    parameters=[KEY],
    examples=[
        Example("lines", '{"event_type":"model-loaded","model_name":"m"}\n', media_type=NDJSON),
        Example("a report", _REPORT, 207),
    ],
)
def import_events(call: Call[ImportQuery, None]) -> Conversation[Response]:
    """Publishes each line: an event, or a row of an export, whose event is taken. Valid lines are stored, even when
    others are refused. A line that was imported before is not stored again, wherever it stands: the lines can be
    corrected and sent once more. The limits are those of a batch: 8 MiB and 10,000 lines."""
    dry_run = call.query.dry_run == "true"
    return (yield from imports.import_events(call.request, call.catalog, connections.counters, dry_run=dry_run))
