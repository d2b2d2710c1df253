"""`POST /v1/publish`: another way to say it, and the publish pipeline itself. No I/O, no Django."""

from synapse.auth.permission import demand_right
from synapse.catalog.stream_definitions import Snapshot
from synapse.errors.delivery import NotOpen
from synapse.http.exchange import Request, Response
from synapse.publishing import pipeline
from synapse.publishing.body import Body
from synapse.publishing.counters import Tally
from synapse.pull.requests import Publication
from synapse.redis.commands.base import Conversation


def publish(asked: Publication, request: Request, catalog: Snapshot, tally: Tally) -> Conversation[Response]:
    """Store the event that `request` asked for, and answer 200: the clients of this protocol look for `entry_id`.

    Raises:
        Forbidden: when the caller may not publish to it.
        NotOpen: when no such stream is defined.
        Problem: as for `POST /events/{stream}`.
    """
    demand_right(request.principal, "publish", asked.stream)
    if asked.stream not in catalog.streams:
        raise NotOpen(f"There is no stream “{asked.stream[:100]}” to publish to. GET /streams lists those there are.")
    stored = yield from pipeline.publish(
        request._replace(params={"stream": asked.stream}),
        catalog,
        tally,
        body=Body(((asked.event,),), batch=False, beside=asked.beside),
    )
    return stored._replace(status=200)
