"""The express lane: what streams answer on the event loop, without a thread or a database query."""

from core.http import Request, Response, Route
from streams import connections, publishing
from streams.snapshot import holder


async def publish(request: Request) -> Response:
    """Answer `POST /events/{stream}`."""
    conversation = publishing.publish(request, holder.current(), connections.tally)
    return await connections.async_executor().run(conversation)


async def validate(request: Request) -> Response:
    """Answer `POST /events/{stream}/validate`."""
    return publishing.validate(request, holder.current())


ROUTES = (
    Route(method="POST", path="/events/{stream}", handler=publish),
    Route(method="POST", path="/events/{stream}/validate", handler=validate),
)
