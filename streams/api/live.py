"""Endpoints that watch streams and statistics live, and issue tickets for that. The event loop serves them; in Django
they only raise `EventLoopOnly`.
"""

from collections.abc import Collection
from functools import partial
from typing import ClassVar, Literal, NoReturn

from streams.connections import tails
from streams.live import overview, session, statistics, tickets
from streams.live.socket_session import SocketSession
from streams.snapshot import holder
from synapse.auth.api_key import API_KEY, AUTHORIZATION
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Call, EventLoop, Example, Meaning, Query, about, endpoint
from synapse.errors.streams import EventLoopOnly, UnknownStream
from synapse.http.exchange import AcceptedWebSocket, Request, Response, StreamedResponse
from synapse.inspection.streams import READ
from synapse.live.query import ID_HELP, LiveQuery, ManyLiveQuery, parse_many_tails, parse_tail_query
from synapse.redis import Conversation
from synapse.shares import caller_of
from synapse.statistics.query import SERIES_PARAMETER, check_names

_FRAMES = {
    "type": "string",
    "description": "Server-sent events. Messages have the entry's id as `id` and the entry as JSON in `data`, in the "
    "form of `GET /streams/{stream}/messages`; events named gap, dropped and bye tell about the connection.",
}


_LAST_EVENT_ID = {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}, "description": ID_HELP}
_NO_STORE = {"Cache-Control": "no-store"}


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
    headers=_NO_STORE,
    examples=[Example("a ticket", {"ticket": "kc1fX…", "expires_in": 30, "stream": "inference-events"}, 201)],
)
def live_ticket(call: Call[None, None]) -> Conversation[dict[str, object]]:
    """For browsers, whose EventSource can set no header: `GET /streams/{stream}/live?ticket=…`. The ticket is valid
    once, for 30 seconds and this stream, with the rights of its caller."""
    return (yield from tickets.issue_ticket(call.stream.name, call.by))


async def _watch_stream(request: Request) -> Response | StreamedResponse:
    return await session.answer_live(watch_stream.check_request(request, holder.current()))


@_live(
    "GET",
    "/streams/{stream}/live",
    "Watch a stream live",
    {(200, "text/event-stream"): Meaning(_FRAMES, "Does not end while both sides live.")},
    query=LiveQuery,
    problems=[501, 503],
    on_event_loop=EventLoop(handler=_watch_stream, waits=True, is_endless=True, identify=tickets.identify_watcher),
    parameters=[_LAST_EVENT_ID],
)
def watch_stream(call: Call[LiveQuery, None]) -> NoReturn:
    """Events as they are stored, as server-sent events: from now on, or from where a connection before ended. Comments
    keep the connection open. A client that reads too slowly is dropped, and can come back for the rest."""
    parse_tail_query(call)
    raise EventLoopOnly("Streams are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")


_FRAMES_OF_MANY = {
    "type": "string",
    "description": "Server-sent events, as of `GET /streams/{stream}/live`, with the entry's `stream` in `data`. `id` "
    "is the position in all streams of the connection.",
}
_many = partial(endpoint, tag="streams")


class ManyTicket(Answer):
    """A ticket for watching many streams over one connection."""

    ticket: str = about("For the address, as `?ticket=…`.")
    expires_in: int = about("Seconds.")


@_many(
    "POST",
    "/live-ticket",
    "Get a ticket for watching many streams",
    {201: ManyTicket},
    problems=[503],
    headers=_NO_STORE,
    examples=[Example("a ticket", {"ticket": "kc1fX…", "expires_in": 30}, 201)],
)
def live_ticket_of_many(call: Call[None, None]) -> Conversation[dict[str, object]]:
    """For browsers, whose EventSource can set no header: `GET /live?ticket=…`. The ticket is valid once, for 30
    seconds, with the rights of its caller."""
    return (yield from tickets.issue_ticket(tickets.GATEWAY, call.by))


async def _watch_many(request: Request) -> Response | StreamedResponse:
    return await session.answer_live_of_many(watch_streams.check_request(request, holder.current()))


@_many(
    "GET",
    "/live",
    "Watch many streams live",
    {(200, "text/event-stream"): Meaning(_FRAMES_OF_MANY, "Does not end while both sides live.")},
    query=ManyLiveQuery,
    problems=[403, 404, 409, 501, 503],
    on_event_loop=EventLoop(
        handler=_watch_many, waits=True, is_endless=True, identify=tickets.identify_watcher_of_many
    ),
    parameters=[_LAST_EVENT_ID],
)
def watch_streams(call: Call[ManyLiveQuery, None]) -> NoReturn:
    """Events of many streams as they are stored, over one connection: from now on, or from where a connection before
    ended. Each stream's events come in order, each once. Streams that the caller may not read any more are left out."""
    parse_many_tails(call)
    raise EventLoopOnly("Streams are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")


class SocketQuery(Query):
    """The parameters of a WebSocket connection."""

    ticket: str = about("The ticket from `POST /live-ticket`, instead of a key.", default="")


async def _open_socket(request: Request) -> AcceptedWebSocket:
    call = open_websocket.check_request(request, holder.current())
    with tails().hold_seat(caller_of(call.by)):
        pass  # refuses the handshake when no seat is free; the connection takes its own seat later
    shows_ticket = call.query.ticket and not request.headers.get(AUTHORIZATION) and not request.headers.get(API_KEY)
    return AcceptedWebSocket(serve=SocketSession(call.by, may_publish=not shows_ticket).serve)


@_many(
    "GET",
    "/ws",
    "Open a WebSocket",
    {(101,): Meaning(None, "The connection continues with frames of WebSocket.")},
    query=SocketQuery,
    problems=[426, 501, 503],
    on_event_loop=EventLoop(
        handler=_open_socket, is_endless=True, is_websocket=True, identify=tickets.identify_watcher_of_many
    ),
    parameters=[
        {
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "schema": {"type": "string"},
            "description": "`synapse.v1`, and beside it `synapse.key.` with the key in base64url, where no other header"
            " can be set.",
        }
    ],
)
def open_websocket(call: Call[SocketQuery, None]) -> NoReturn:
    """Follows streams, and publishes, over one connection (RFC 6455). Messages are JSON objects in both directions, as
    the guide of WebSocket describes them. A page of another origin is refused unless it is in CORS_ALLOWED_ORIGINS; a
    session of the admin opens none."""
    raise EventLoopOnly("WebSockets are served on the event loop: ask the server that `manage.py serve` or `up` runs.")


_SAMPLES = {
    "type": "string",
    "description": "Server-sent events. Those named sample have in `data` when the step began (`at`, in seconds since "
    "1970), its length (`step`), whether the step before it was sampled (`follows`), and by stream the changes. Those "
    "named overview have in `data` the page as `html`, or as `lines` those that are others, by their numbers from 0.",
}


class StatisticsTicket(Answer):
    """A ticket for watching statistics live."""

    ticket: str = about("For the address, as `?ticket=…`.")
    expires_in: int = about("Seconds.")


class LiveStatsQuery(Query):
    """Which streams and series are watched."""

    repeatable: ClassVar[Collection[str]] = ("stream", "series")
    stream: list[str] = about("Only of this stream; can be given several times.", default=[])
    series: list[str] = SERIES_PARAMETER
    page: Literal["", "overview"] = about(
        "“overview”: with each sample, the admin's overview as HTML, too, for a person who is logged in to the admin.",
        default="",
    )
    ticket: str = about("The ticket that `POST /stats/live-ticket` gave; instead of a key.", default="")


_statistics = partial(endpoint, tag="operations", requires=Requirement(scope="metrics:read"))


@_statistics(
    "POST",
    "/stats/live-ticket",
    "Get a ticket for watching statistics",
    {201: StatisticsTicket},
    problems=[503],
    headers=_NO_STORE,
)
def stats_live_ticket(call: Call[None, None]) -> Conversation[dict[str, object]]:
    """For browsers, whose EventSource can set no header: `GET /stats/live?ticket=…`. The ticket is valid once, for 30
    seconds, with the rights of its caller."""
    return (yield from tickets.issue_ticket(tickets.STATISTICS, call.by))


async def _watch_stats(request: Request) -> Response | StreamedResponse:
    call = watch_stats.check_request(request, holder.current())
    _check_query(call)
    viewer = await overview.viewer_of(request, call.by) if call.query.page else None
    return await statistics.answer_live_statistics(call.query.stream, call.query.series, call.by, overview=viewer)


@_statistics(
    "GET",
    "/stats/live",
    "Watch statistics live",
    {(200, "text/event-stream"): Meaning(_SAMPLES, "Does not end while both sides live.")},
    query=LiveStatsQuery,
    problems=[404, 501, 503],
    on_event_loop=EventLoop(handler=_watch_stats, waits=True, is_endless=True, identify=tickets.identify_watcher),
)
def watch_stats(call: Call[LiveStatsQuery, None]) -> NoReturn:
    """The changes of each sample, of all streams that the caller may see, over one connection."""
    _check_query(call)
    raise EventLoopOnly("Statistics are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")


def _check_query(call: Call[LiveStatsQuery, None]) -> None:
    check_names(call.query.series)
    for name in call.query.stream:
        Requirement(visible=True).demand(call.by, name)
        if name not in call.catalog.streams:
            raise UnknownStream(name)
