"""Watching statistics live, and the tickets for it. The event loop answers; a Django that runs alone says so."""

from collections.abc import Collection
from functools import partial
from typing import ClassVar, NoReturn

from streams.live import statistics, tickets
from streams.snapshot import holder
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Call, EventLoop, Meaning, Query, about, endpoint
from synapse.errors.streams import EventLoopOnly, UnknownStream
from synapse.http.exchange import Request, Response, StreamedResponse
from synapse.redis import Conversation
from synapse.statistics.query import SERIES_PARAMETER, check_names

_FRAMES = {
    "type": "string",
    "description": "Server-sent events. Those named sample have in `data` when the step began (`at`, in seconds since "
    "1970), its length (`step`), whether the step before it was sampled (`follows`), and by stream the changes.",
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
    ticket: str = about("The ticket that `POST /stats/live-ticket` gave; instead of a key.", default="")


_live = partial(endpoint, tag="operations", requires=Requirement(scope="metrics:read"))


@_live(
    "POST",
    "/stats/live-ticket",
    "Get a ticket for watching statistics",
    {201: StatisticsTicket},
    problems=[503],
    headers={"Cache-Control": "no-store"},
)
def stats_live_ticket(call: Call[None, None]) -> Conversation[dict[str, object]]:
    """For browsers, whose EventSource can set no header: `GET /stats/live?ticket=…`. It is good once, for 30 seconds,
    and stands for the caller who got it."""
    return (yield from tickets.issue(tickets.STATISTICS, call.by))


async def _watch(request: Request) -> Response | StreamedResponse:
    call = watch_stats.call(request, holder.current())
    _check(call)
    return await statistics.live(call.query.stream, call.query.series, call.by)


@_live(
    "GET",
    "/stats/live",
    "Watch statistics live",
    {(200, "text/event-stream"): Meaning(_FRAMES, "Does not end while both sides live.")},
    query=LiveStatsQuery,
    problems=[404, 501, 503],
    on_event_loop=EventLoop(handler=_watch, waits=True, is_endless=True, identify=tickets.watcher),
)
def watch_stats(call: Call[LiveStatsQuery, None]) -> NoReturn:
    """The changes of each sample, of all streams that the caller may see, over one connection."""
    _check(call)
    raise EventLoopOnly("Statistics are watched on the event loop: ask the server that `manage.py serve` or `up` runs.")


def _check(call: Call[LiveStatsQuery, None]) -> None:
    check_names(call.query.series)
    for name in call.query.stream:
        Requirement(visible=True).demand(call.by, name)
        if name not in call.catalog.streams:
            raise UnknownStream(name)
