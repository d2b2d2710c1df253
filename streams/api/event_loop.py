"""Routes of the event loop, made of endpoints: neither a thread nor a database query answers them.

A route's fast path holds the same conversation as its handler, and leaves to it what waits for its turn.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from streams import connections
from streams.snapshot import holder
from synapse.endpoints import Endpoint, EventLoop
from synapse.http.exchange import Direct, Done, Failed, Handler, Request, Response, Route, nobody
from synapse.publishing import body
from synapse.redis import AsyncExecutor, Conversation
from synapse.shares import caller_of
from synapse.shares.fair_pool import FairQueue

# Where large requests wait: large batches, of which so many bytes are worked on at a time, and long reads of messages.
QUEUES = {
    name: FairQueue(name, capacity=capacity, patience=10.0)
    for name, capacity in (("large batches", body.MAX_BATCH_BYTES), ("reads of many messages", 4))
}


def routes_of(endpoints: Iterable[Endpoint]) -> tuple[Route, ...]:
    """Return the routes of those endpoints that the event loop answers."""
    return tuple(_route(each, each.on_event_loop) for each in endpoints if each.on_event_loop is not None)


def _route(endpoint: Endpoint, loop: EventLoop) -> Route:
    direct = loop.direct
    if loop.handler is None and not loop.waits:
        direct = _direct(endpoint, loop.size)
    return Route(
        method=endpoint.method,
        path=endpoint.path,
        handler=loop.handler or _handler(endpoint, loop),
        direct=direct,
        waits=loop.waits,
        identify=nobody if endpoint.requires.open_to_all else loop.identify,
    )


def _handler(endpoint: Endpoint, loop: EventLoop) -> Handler:
    async def handler(request: Request) -> Response:
        async with _turn(loop, request):
            executor, conversation = _begin(endpoint, request)
            return await executor.run(conversation)

    return handler


def _direct(endpoint: Endpoint, size: Callable[[Request], int] | None) -> Direct:
    def direct(request: Request, done: Done, failed: Failed) -> bool:
        if size is not None and size(request):
            return False
        executor, conversation = _begin(endpoint, request)
        executor.begin(conversation, done, failed)
        return True

    return direct


def _begin(endpoint: Endpoint, request: Request) -> tuple[AsyncExecutor, Conversation[Response]]:
    """Return the conversation that answers a request, and the executor that is to hold it."""
    catalog = holder.current()
    taken, stored = endpoint.take(request, catalog)
    return connections.async_executor_for(stored), endpoint.conversation(taken, catalog)


@asynccontextmanager
async def _turn(loop: EventLoop, request: Request) -> AsyncIterator[None]:
    """Wait until it is the turn of a large request: what is made of a batch takes many times its memory."""
    size = 0 if loop.size is None else loop.size(request)
    if not size:
        yield
        return
    async with QUEUES[loop.queue].turn(caller_of(request.principal), size):
        yield
