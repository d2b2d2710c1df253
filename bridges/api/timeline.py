"""The endpoint that shows the timeline of one event."""

from typing import Any

from bridges.api.timeline_models import EXAMPLE, Timeline
from bridges.timeline import quoted_events, timeline_of
from synapse.auth.permission import STREAMS_READ, Requirement
from synapse.endpoints import Call, Example, Query, endpoint
from synapse.inspection.range_query import parse_entry_id
from synapse.redis import Conversation


@endpoint(
    "GET",
    "/streams/{stream}/messages/{id}/timeline",
    "Show the timeline of one event",
    Timeline,
    tag="streams",
    query=Query,
    requires=Requirement(read=True, otherwise=STREAMS_READ),
    of_stream=True,
    reveals=quoted_events,
    examples=[Example("an event that failed once", EXAMPLE, 200)],
)
def show_timeline(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """The answer has the event's place in each group of the stream, its attempts, dead letters, copies and archived
    rows. A trimmed event has a timeline as long as one of these is left that the caller may see."""
    return (yield from timeline_of(call.stream, str(parse_entry_id(call.params["id"])), call.by))
