"""Watching a stream live, and the tickets for it. The event loop answers; a Django that runs alone says so."""

from functools import partial
from typing import NoReturn

from streams.live import live, tickets
from streams.snapshot import holder
from synapse.endpoints import Answer, Call, EventLoop, Example, Meaning, about, endpoint
from synapse.errors.streams import EventLoopOnly
from synapse.http.exchange import Request, Response, StreamedResponse
from synapse.inspection.streams import READ
from synapse.live.query import LiveQuery, asked
from synapse.redis import Conversation

_ID = "The id of the last event that was received: later ones come, nothing twice. 0 is everything there is."
_FRAMES = {
    "type": "string",
    "description": "Server-sent events. Messages have the entry's id as `id` and the entry as JSON in `data`, in the "
    "form of `GET /streams/{stream}/messages`; events named gap, dropped and bye tell about the connection.",
}


class Ticket(Answer):
    """A ticket for watching a stream live."""

    ticket: str = about("For the address, as `?ticket=…`.")
    expires_in: int = about("Seconds.")
    stream: str


_live = partial(endpoint, tag="streams", requires=READ, of_stream=True)


@_live(
    "POST",
    "/streams/{stream}/live-ticket",
    "Get a ticket for watching a stream",
    {201: Ticket},
    headers={"Cache-Control": "no-store"},
    examples=[Example("a ticket", {"ticket": "kc1fX…", "expires_in": 30, "stream": "inference-events"}, 201)],
)
def live_ticket(call: Call[None, None]) -> Conversation[dict[str, object]]:
    """For browsers, whose EventSource can set no header: `GET /streams/{stream}/live?ticket=…`. It is good once, for 30
    seconds, for this stream, and stands for the caller who got it."""
    return (yield from tickets.issue(call.stream.name, call.by))


async def _watch(request: Request) -> Response | StreamedResponse:
    return await live(watch_stream.call(request, holder.current()))


@_live(
    "GET",
    "/streams/{stream}/live",
    "Watch a stream live",
    {(200, "text/event-stream"): Meaning(_FRAMES, "Does not end while both sides live.")},
    query=LiveQuery,
    problems=[501, 503],
    on_event_loop=EventLoop(handler=_watch, waits=True, is_endless=True, identify=tickets.watcher),
    parameters=[{"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}, "description": _ID}],
)
def watch_stream(call: Call[LiveQuery, None]) -> NoReturn:
    """Events as they are stored, as server-sent events: from now on, or from where a connection before ended. Comments
    keep the connection open. A client that reads too slowly is dropped, and can come back for the rest."""
    asked(call)
    raise EventLoopOnly("Streams are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")
