"""The endpoint that finds an event over all streams by an id in it."""

from typing import Any

from streams import connections
from synapse.correlation import search
from synapse.endpoints import Answer, Call, EventLoop, Query, QueryInt, about, endpoint
from synapse.explorer.search import ids_by_stream
from synapse.redis import Conversation

MOST_FOUND, USUALLY_FOUND = 100, 20


class FindQuery(Query):
    """The parameters of a search."""

    count: QueryInt = about("How many events to find.", default=USUALLY_FOUND, ge=1, le=MOST_FOUND)
    q: str = about(
        "An entry id, Idempotency-Key, trace id, CloudEvent id, or value of a property in a stream's `correlation`.",
        min_length=1,
        max_length=256,
    )


class IdentifiedEvent(Answer):
    """An event that was found."""

    stream: str
    id: str
    event_type: str | None
    timestamp: str | None
    found_by: list[str] = about(
        "The matching ids: `entry id`, `Idempotency-Key`, `trace id`, `CloudEvent id`, or names of properties."
    )


class UnsearchedEvents(Answer):
    """A stream with events that were not searched, stored from `since` to `until`."""

    stream: str
    since: str | None
    until: str | None


class IdentifiedEvents(Answer):
    """The events that were found."""

    events: list[IdentifiedEvent] = about("The found events, newest first.")
    complete: bool = about("True when all events were searched.")
    unsearched: list[UnsearchedEvents]


@endpoint(
    "GET",
    "/events/find",
    "Find an event over all streams",
    IdentifiedEvents,
    tag="streams",
    query=FindQuery,
    on_event_loop=EventLoop(queue=connections.LONG_READS, size=lambda _: 1),
    reveals=ids_by_stream,
)
def find_events(call: Call[FindQuery, None]) -> Conversation[dict[str, Any]]:
    """Finds events by an id in them, among all streams and event types that the caller may read. A value of a property
    that is masked for the caller finds nothing."""
    query = call.query
    found = yield from search.find_by_id(query.q, call.catalog, call.by, connections.digests(), count=query.count)
    return {
        "events": [match.to_json() for match in found.matches],
        "complete": not found.unsearched,
        "unsearched": [each.to_json() for each in found.unsearched],
    }
