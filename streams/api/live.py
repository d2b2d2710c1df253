"""The live tail's description. The event loop answers it; a Django that runs alone says so."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request

from core.views import ApiView, to_django, to_request
from streams import connections
from streams.access import principal_of
from streams.api.openapi import STREAM, described, example, query
from streams.api.shapes import streams as shapes
from streams.live import tickets
from streams.snapshot import holder
from synapse.errors.streams import LaneOnly
from synapse.inspection.streams import readable
from synapse.live.query import asked

_ID = "The id of the last event that was received: what is later comes, nothing twice. 0 is everything there is."
_FRAMES = {
    "type": "string",
    "description": "Server-sent events. Messages have the entry's id as `id` and the entry as JSON in `data`, in the "
    "form of `GET /streams/{stream}/messages`; events named gap, dropped and bye say what happened to the connection.",
}


class Ticket(ApiView):
    """Get a ticket."""

    @described(
        "Get a ticket for watching a stream",
        name="live_ticket",
        tag="streams",
        parameters=[STREAM],
        answers={201: shapes.Ticket},
        problems=[404, 409, 503],
        examples=[
            example("a ticket", {"ticket": "kc1fX…", "expires_in": 30, "stream": "inference-events"}, status=201)
        ],
    )
    def post(self, request: Request, stream: str) -> HttpResponse:
        """For browsers, whose EventSource can set no header: `GET /streams/{stream}/live?ticket=…`. It is good once,
        for 30 seconds, for this stream, and stands for whoever got it."""
        question = to_request(request._request, principal_of(request), stream=stream)
        return to_django(connections.executor().run(tickets.issue(question, holder.current())))


class Live(ApiView):
    """Watch a stream."""

    # A HEAD would have to end, and the answer to GET does not.
    http_method_names = ["get", "options"]

    @described(
        "Watch a stream live",
        name="watch_stream",
        tag="streams",
        parameters=[
            STREAM,
            query(
                "event_type",
                "Only events of this type; can be given several times.",
                {"type": "array", "items": {"type": "string"}},
            ),
            query("ticket", "What `POST /streams/{stream}/live-ticket` gave; instead of a key."),
            OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description=_ID),
            query("last_event_id", f"The same, where a header cannot be set. {_ID}"),
            query("lastEventId", "The same, as some event sources in place of the browser's own send it."),
            query(
                "since", "From here on, this one included: an entry id, milliseconds since 1970, or a time in ISO 8601."
            ),
        ],
        answers={(200, "text/event-stream"): OpenApiResponse(_FRAMES, "Does not end while both sides live.")},
        problems=[400, 404, 409, 501, 503],
    )
    def get(self, request: Request, stream: str) -> HttpResponse:
        """Events as they are stored, as server-sent events: from now on, or from where a connection before ended.
        Comments keep the connection open. Who reads too slowly is dropped, and can come back for the rest."""
        question = to_request(request._request, principal_of(request), stream=stream)
        readable(question, holder.current())
        asked(question)
        raise LaneOnly("Streams are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")
