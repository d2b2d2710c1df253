"""The express lane: what streams answer on the event loop, without a thread or a database query."""

import asyncio

from core.http import Request, Response, Route, StreamedResponse, nobody
from core.problems import Problem
from streams import connections, health, inspection, live, prober, publishing, reading
from streams.live import tickets
from streams.reading import MAX_EVENT_BYTES, Body
from streams.snapshot import holder


async def publish(request: Request) -> Response:
    """Answer `POST /events/{stream}`."""
    body = await _read_aside(request)
    catalog = holder.current()
    conversation = publishing.publish(request, catalog, connections.tally, body=body)
    return await connections.async_executor_for(catalog.streams.get(request.params["stream"])).run(conversation)


async def validate(request: Request) -> Response:
    """Answer `POST /events/{stream}/validate`."""
    body = await _read_aside(request)
    return await connections.async_executor().run(publishing.validate(request, holder.current(), body=body))


async def _read_aside(request: Request) -> Body | Problem | None:
    """Read a large body in a thread, so that others are answered meanwhile; a small one is read where it is used."""
    if len(request.body) <= MAX_EVENT_BYTES:
        return None
    try:
        return await asyncio.to_thread(reading.read, request)
    except Problem as problem:
        return problem


async def streams(request: Request) -> Response:
    """Answer `GET /streams`."""
    return await connections.async_executor().run(inspection.streams(request, holder.current()))


async def info(request: Request) -> Response:
    """Answer `GET /streams/{stream}/info`."""
    return await connections.async_executor().run(inspection.info(request, holder.current()))


async def messages(request: Request) -> Response:
    """Answer `GET /streams/{stream}/messages`."""
    return await connections.async_executor().run(inspection.messages(request, holder.current()))


async def watch(request: Request) -> StreamedResponse:
    """Answer `GET /streams/{stream}/live`."""
    return await live.live(request, holder.current())


async def say_health(request: Request) -> Response:
    """Answer `GET /health`."""
    return health.health(await _problems())


async def say_liveness(request: Request) -> Response:
    """Answer `GET /healthz`."""
    return health.liveness()


async def say_readiness(request: Request) -> Response:
    """Answer `GET /readyz`."""
    return health.readiness(await _problems())


async def _problems() -> prober.Problems:
    known = prober.watched()
    return known if known is not None else await asyncio.to_thread(prober.asked)


ROUTES = (
    Route(method="POST", path="/events/{stream}", handler=publish),
    Route(method="POST", path="/events/{stream}/validate", handler=validate),
    Route(method="GET", path="/streams", handler=streams),
    Route(method="GET", path="/streams/{stream}/info", handler=info),
    Route(method="GET", path="/streams/{stream}/messages", handler=messages),
    Route(method="GET", path="/streams/{stream}/live", handler=watch, identify=tickets.watcher),
    Route(method="GET", path="/health", handler=say_health, identify=nobody),
    Route(method="GET", path="/healthz", handler=say_liveness, identify=nobody),
    Route(method="GET", path="/readyz", handler=say_readiness, identify=nobody),
)
