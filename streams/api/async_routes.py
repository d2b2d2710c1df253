"""The express lane: what streams answer on the event loop, without a thread or a database query.

A route's fast path (`direct`) begins the same conversation as its handler, and leaves to it what takes a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from streams import connections, health, live
from streams.live import tickets
from streams.snapshot import holder
from synapse import inspection
from synapse.http.exchange import (
    Done,
    Failed,
    Request,
    Response,
    Route,
    StreamedResponse,
    nobody,
)
from synapse.publishing import body, pipeline
from synapse.publishing.body import MAX_EVENT_BYTES
from synapse.redis import AsyncExecutor, Conversation
from synapse.shares import caller_of
from synapse.shares.fair_pool import FairQueue
from synapse.statistics.query import stats

# Large batches that are worked on at a time have so many bytes together, and wait so many seconds for that.
LARGE_BATCHES = FairQueue("large batches", capacity=body.MAX_BATCH_BYTES, patience=10.0)

# So many long reads of messages go on at a time.
LONG_READS = FairQueue("reads of many messages", capacity=4, patience=10.0)


async def publish(request: Request) -> Response:
    """Answer `POST /events/{stream}`."""
    async with _turn(request):
        return await _publishing_executor(request).run(_publish(request))


def publish_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer the same, when the body is small."""
    if _is_large(request):
        return False
    _publishing_executor(request).begin(_publish(request), done, failed)
    return True


def _publish(request: Request) -> Conversation[Response]:
    return pipeline.publish(request, holder.current(), connections.tally)


def _publishing_executor(request: Request) -> AsyncExecutor:
    return connections.async_executor_for(holder.current().streams.get(request.params["stream"]))


async def validate(request: Request) -> Response:
    """Answer `POST /events/{stream}/validate`."""
    async with _turn(request):
        return await connections.async_executor().run(pipeline.validate(request, holder.current()))


def validate_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer the same, when the body is small."""
    if _is_large(request):
        return False
    connections.async_executor().begin(pipeline.validate(request, holder.current()), done, failed)
    return True


def _is_large(request: Request) -> bool:
    return len(request.body) > MAX_EVENT_BYTES


@asynccontextmanager
async def _turn(request: Request) -> AsyncIterator[None]:
    """Wait until it is the turn of a large batch: what is made of one takes many times its memory, and all its time."""
    if not _is_large(request):
        yield
        return
    async with LARGE_BATCHES.turn(caller_of(request.principal), len(request.body)):
        yield


def _streams(request: Request) -> Conversation[Response]:
    return inspection.streams(request, holder.current())


def _info(request: Request) -> Conversation[Response]:
    return inspection.info(request, holder.current())


def _stats(request: Request) -> Conversation[Response]:
    return stats(request, holder.current())


def _asking(path: str, conversation: Callable[[Request], Conversation[Response]]) -> Route:
    """Return the route of a question to Redis: both of its ways hold the same conversation."""

    async def handler(request: Request) -> Response:
        return await connections.async_executor().run(conversation(request))

    def direct(request: Request, done: Done, failed: Failed) -> bool:
        connections.async_executor().begin(conversation(request), done, failed)
        return True

    return Route(method="GET", path=path, handler=handler, direct=direct)


async def read_messages(request: Request) -> Response:
    """Answer `GET /streams/{stream}/messages`."""
    if not inspection.is_long(request):
        return await connections.async_executor().run(inspection.messages(request, holder.current()))
    async with LONG_READS.turn(caller_of(request.principal)):
        return await connections.async_executor().run(inspection.messages(request, holder.current()))


def read_messages_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer the same, when few entries are looked at."""
    if inspection.is_long(request):
        return False
    connections.async_executor().begin(inspection.messages(request, holder.current()), done, failed)
    return True


async def watch(request: Request) -> StreamedResponse:
    """Answer `GET /streams/{stream}/live`."""
    return await live.live(request, holder.current())


async def say_health(request: Request) -> Response:
    """Answer `GET /health`."""
    return health.health(await _problems())


def say_health_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer the same, when somebody watches Redis and the database."""
    known = health.watched()
    if known is not None:
        done(health.health(known))
    return known is not None


async def say_liveness(request: Request) -> Response:
    """Answer `GET /healthz`."""
    return health.liveness()


def say_liveness_directly(request: Request, done: Done, failed: Failed) -> bool:
    """Answer the same: without a task a probe waits for fewer turns of a busy event loop."""
    done(health.liveness())
    return True


async def say_readiness(request: Request) -> Response:
    """Answer `GET /readyz`."""
    return health.readiness(await _problems())


async def _problems() -> health.Problems:
    known = health.watched()
    return known if known is not None else await asyncio.to_thread(health.asked)


ROUTES = (
    Route(method="POST", path="/events/{stream}", handler=publish, direct=publish_directly),
    Route(method="POST", path="/events/{stream}/validate", handler=validate, direct=validate_directly),
    _asking("/streams", _streams),
    _asking("/streams/{stream}/info", _info),
    _asking("/stats", _stats),
    Route(method="GET", path="/streams/{stream}/messages", handler=read_messages, direct=read_messages_directly),
    Route(method="GET", path="/streams/{stream}/live", handler=watch, waits=True, identify=tickets.watcher),
    Route(method="GET", path="/health", handler=say_health, identify=nobody, direct=say_health_directly),
    Route(method="GET", path="/healthz", handler=say_liveness, identify=nobody, direct=say_liveness_directly),
    Route(method="GET", path="/readyz", handler=say_readiness, identify=nobody),
)
