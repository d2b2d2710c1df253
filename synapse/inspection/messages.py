"""The entries of a stream: a page of them, or one."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from synapse.auth.principal import EVERY_TYPE
from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents.attributes import BATCH, STRUCTURED
from synapse.cloudevents.outgoing import chosen_form, chosen_form_of_list, cloudevent_of_row, structured
from synapse.endpoints import Call, EventLoop, Example, Meaning, Query, QueryInt, about, endpoint
from synapse.endpoints.openapi import CLOUDEVENT, CLOUDEVENTS
from synapse.errors.streams import UnknownEntry
from synapse.filters import FILTER_HELP, QueryFilter
from synapse.http.exchange import JSON, VARY_ACCEPT, Request, Response, array_response, listing_response
from synapse.inspection.answers import Messages, OneMessage
from synapse.inspection.range_query import MOMENT, MOST_ENTRIES, Order, QueryTime, Scan, intersection, parse_entry_id
from synapse.inspection.rows import RowSelection, row_as_json
from synapse.inspection.streams import READ
from synapse.redis import Conversation, answer, ask, map_cooperatively
from synapse.redis.commands.streams import Entry, xrange

MOST_MESSAGES, USUAL_MESSAGES = 1000, 10
# A request for at most this many messages is answered without a turn in the queue.
FEW_MESSAGES = 99
MESSAGE_EXAMPLE = {
    "id": "1705314600000-0",
    "data": {
        "event_type": "inference-complete",
        "latency_ms": "45",
        "event": "inference-complete",
        "timestamp": "2024-01-15T10:30:00.000Z",
        "source": "anonymous",
        "synapse_version": "1",
        "synapse_added": "ets",
    },
    "event": {"event_type": "inference-complete", "latency_ms": 45},
    "event_type": "inference-complete",
    "timestamp": "2024-01-15T10:30:00.000Z",
    "source": "anonymous",
    "contract_version": 1,
    "layout": "flat",
}
_PAGE = {
    "stream": "inference-events",
    "messages": [MESSAGE_EXAMPLE],
    "order": "newest",
    "next": None,
    "scanned": 1,
    "complete": True,
}


class MessagesQuery(Query):
    """The query parameters that select messages."""

    count: QueryInt = about("How many.", default=USUAL_MESSAGES, ge=1, le=MOST_MESSAGES)
    order: Order = about("Which come first.", default="newest")
    event_type: str = about("Only messages of this event type.", default="")
    filter: QueryFilter = about(FILTER_HELP.format("messages"), default=None)
    since: QueryTime = about(f"From here on, this one included. {MOMENT}", default=None)
    until: QueryTime = about(f"Up to here, this one included. {MOMENT}", default=None)
    after: QueryTime = about(f"Later than this. {MOMENT}", default=None)
    before: QueryTime = about(f"Earlier than this. {MOMENT}", default=None)


def long_read(request: Request) -> int:
    """Return 1 for a request that may read many entries, else 0."""
    rights = request.principal.rights
    if (
        request.query.get("event_type")
        or request.query.get("filter")
        or not rights.may("read", request.params["stream"], EVERY_TYPE)
    ):
        return 1
    return int(len(request.query.get("count", "")) > len(str(FEW_MESSAGES)))


_LINK = {
    "Link": {"schema": {"type": "string"}, "description": "The next page of CloudEvents."},
}
_reads = partial(endpoint, tag="streams", requires=READ, of_stream=True)


@_reads(
    "GET",
    "/streams/{stream}/messages",
    "Read a stream's messages",
    {200: Messages, (200, BATCH): Meaning(CLOUDEVENTS, "", _LINK)},
    problems=[406],
    query=MessagesQuery,
    on_event_loop=EventLoop(queue="reads of many messages", size=long_read),
    reveals=lambda page: {page["stream"]: [each["id"] for each in page["messages"]]},
    examples=[Example("a page", _PAGE, 200)],
)
def list_messages(call: Call[MessagesQuery, None]) -> Conversation[Response]:
    """A page of messages, newest first unless asked otherwise. For the next page send the same query with `before`
    (newest first) or `after` (oldest first) set to `next`. With `event_type` or `filter` at most 10,000 entries are
    looked at for one page: `complete` is false when that was not enough, and `next` continues there. In a batch of
    CloudEvents the header `Link` names the next page."""
    stream, query = call.stream, call.query
    selection = RowSelection(stream, call.by.rights, event_type=query.event_type, filter=query.filter)
    form = chosen_form_of_list(call.request.headers.get("accept", ""))
    page = _Page(selection, count=query.count, write=_encoder_of(form, call))
    # Without a filter, one entry more than the page holds shows whether there is a next page.
    most = MOST_ENTRIES if selection.may_skip else query.count + 1
    part = intersection(since=query.since, until=query.until, after=query.after, before=query.before)
    scan = Scan(stream.name, part, order=query.order, most=most)
    while not scan.done and not page.full:
        (reply,) = yield from ask([scan.command()])
        yield ()  # other requests may have been answered in this round trip
        yield from map_cooperatively(scan.take_chunk(answer(reply, stream.name, absent=[])), page.offer)
    ended = scan.exhausted and not page.full
    if form != JSON:
        link = {} if ended or page.position is None else {"Link": _next_page_link(call, page.position)}
        headers, shown = VARY_ACCEPT | link, {stream.name: page.ids}
        return array_response(page.messages, content_type=form, headers=headers, shown=shown)
    document = {
        "stream": stream.name,
        "messages": None,
        "order": query.order,
        "next": None if ended else page.position,
        "scanned": page.scanned,
        "complete": ended or page.full,
    }
    return listing_response(document, "messages", page.messages, headers=VARY_ACCEPT)


@_reads(
    "GET",
    "/streams/{stream}/messages/{id}",
    "Read one message",
    {200: OneMessage, (200, STRUCTURED): CLOUDEVENT, (200, BATCH): CLOUDEVENTS},
    problems=[406],
    query=Query,
    reveals=lambda message: {message["stream"]: [message["id"]]},
    examples=[Example("a message", {"stream": "inference-events", **MESSAGE_EXAMPLE}, 200)],
)
def show_message(call: Call[Query, None]) -> Conversation[Response]:
    """The message with this entry id."""
    stream = call.stream
    id_ = str(parse_entry_id(call.params["id"]))
    (reply,) = yield from ask([xrange(stream.name, id_, id_, 1)])
    found = answer(reply, stream.name, absent=[])
    row = RowSelection(stream, call.by.rights, with_stream=True).row(found[0]) if found else None
    if row is None:
        raise UnknownEntry(f"The stream “{stream.name}” holds no entry {id_}: it never did, or it was trimmed.")
    form = chosen_form(call.request.headers.get("accept", ""), STRUCTURED, BATCH)
    body = _encoder_of(form, call)(row)
    shown = {stream.name: [id_]}
    if form == BATCH:
        return array_response([body], content_type=BATCH, headers=VARY_ACCEPT, shown=shown)
    return Response(body=body, content_type=form, headers=VARY_ACCEPT, shown=shown)


def _encoder_of(form: str, call: Call[Any, None]) -> Callable[[Mapping[str, Any]], bytes]:
    """Return the function that encodes a row in the form that the client accepts."""
    return row_as_json if form == JSON else partial(_encode_cloudevent, call.catalog, call.stream.name)


def _encode_cloudevent(catalog: Snapshot, stream: str, row: Mapping[str, Any]) -> bytes:
    return structured(cloudevent_of_row(catalog, stream, row), otherwise=row["data"])


def _next_page_link(call: Call[MessagesQuery, None], position: str) -> str:
    """Return the header `Link` to the next page (RFC 8288), with an address relative to the current one."""
    name = "before" if call.query.order == "newest" else "after"
    given = parse_qsl(call.request.raw_query, keep_blank_values=True)
    query = [*(each for each in given if each[0] != name), (name, position)]
    return f'<?{urlencode(query)}>; rel="next"'


class _Page:
    """The messages of a response: up to `count` that match. A further entry makes it full."""

    def __init__(self, selection: RowSelection, *, count: int, write: Callable[[Mapping[str, Any]], bytes]) -> None:
        self._selection = selection
        self._write = write
        self.count = count
        self.ids: list[str] = []
        self.messages: list[bytes] = []
        self.scanned = 0
        self.position: str | None = None
        self.full = False

    def offer(self, found: Entry) -> None:
        """Add the next entry if it matches."""
        if self.full or len(self.messages) == self.count:
            self.full = True
            return
        self.scanned += 1
        self.position = found.id
        row = self._selection.row(found)
        if row is not None:
            # Each event is encoded at once, so that its value need not be kept and the event loop can serve others in
            # between.
            self.messages.append(self._write(row))
            self.ids.append(found.id)
