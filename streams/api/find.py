"""Finding an event over all streams by an id that it carries."""

from typing import Any

from streams import connections
from synapse.correlation import search
from synapse.endpoints import Answer, Call, EventLoop, Example, Query, QueryInt, about, endpoint
from synapse.explorer.search import ids_by_stream
from synapse.http.exchange import Request
from synapse.redis import Conversation

MOST_FOUND, USUALLY_FOUND = 100, 20


class FindQuery(Query):
    """The parameters of a search."""

    count: QueryInt = about("How many events at most, the newest ones.", default=USUALLY_FOUND, ge=1, le=MOST_FOUND)
    q: str = about(
        "An entry id, an Idempotency-Key, a trace id or a traceparent, or the value of a property that the stream "
        "declares in `correlation`.",
        min_length=1,
        max_length=256,
    )


class IdentifiedEvent(Answer):
    """An event that was found."""

    stream: str
    id: str
    event_type: str | None
    timestamp: str | None
    found_by: list[str] = about("`entry id`, `Idempotency-Key`, `trace id`, or the names of properties.")


class UnsearchedEvents(Answer):
    """Events of a stream that were not searched, because its index is still being built."""

    stream: str
    since: str | None = about("When the first of them was stored; null: when the stream's first event was.")
    until: str | None = about("When the last of them was stored.")


class IdentifiedEvents(Answer):
    """The events that were found."""

    events: list[IdentifiedEvent] = about("The newest first.")
    complete: bool = about("Whether all events that the caller may read were searched.")
    unsearched: list[UnsearchedEvents]


_FOUND = {
    "events": [
        {
            "stream": "orders",
            "id": "1705314600000-0",
            "event_type": "order-placed",
            "timestamp": "2024-01-15T10:30:00.000Z",
            "found_by": ["request_id"],
        }
    ],
    "complete": True,
    "unsearched": [],
}


def _one(request: Request) -> int:
    return 1


@endpoint(
    "GET",
    "/events/find",
    "Find an event over all streams",
    IdentifiedEvents,
    tag="streams",
    query=FindQuery,
    on_event_loop=EventLoop(queue="reads of many messages", size=_one),
    reveals=ids_by_stream,
    examples=[Example("an event", _FOUND, 200)],
)
def find_events(call: Call[FindQuery, None]) -> Conversation[dict[str, Any]]:
    """Events by an id that they carry, among all streams and event types that the caller may read. Properties that are
    masked for the caller find nothing."""
    query = call.query
    found = yield from search.find(query.q, call.catalog, call.by, connections.digests(), count=query.count)
    return {
        "events": [match.shown() for match in found.matches],
        "complete": not found.unsearched,
        "unsearched": [each.shown() for each in found.unsearched],
    }
