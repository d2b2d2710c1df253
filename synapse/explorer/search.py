"""Searching events in one or many streams: `GET /events`, and the conversation behind it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from synapse.auth.permission import demand_right
from synapse.auth.principal import Principal, Rights
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.endpoints import Answer, Call, EventLoop, Example, Query, QueryInt, about, endpoint
from synapse.errors.streams import UnknownStream
from synapse.explorer import histogram
from synapse.explorer.cursor import Cursor, read_cursor, search_tag
from synapse.explorer.merge import Found, Merge, read_entry
from synapse.filters import FILTER_HELP, EventFilter, QueryFilter
from synapse.formats.text import tag_of
from synapse.http.exchange import Response, listing_response
from synapse.http.redis_problems import problem_of
from synapse.inspection.answers import OneMessage
from synapse.inspection.messages import MESSAGE_EXAMPLE
from synapse.inspection.range_query import MOMENT, MOST_BYTES, MOST_ENTRIES, Order, QueryTime, intersection
from synapse.inspection.rows import RowSelection, TextSearch, row_as_json
from synapse.problems import BadParameter
from synapse.redis import Conversation, map_cooperatively
from synapse.wire.ids import LAST, EntryId, Range, following

ALL = "*"
MOST_STREAMS = 300
MOST_EVENTS, USUAL_EVENTS = 1000, 50
LONGEST_TEXT = 500


class SearchQuery(Query):
    """The parameters of a search: which events, and in which order."""

    repeatable: ClassVar[Collection[str]] = ("stream",)
    stream: list[str] = about(
        f"The streams, several with commas between or by repeating the parameter, at most {MOST_STREAMS}; `{ALL}` or "
        "none: all that the caller may read.",
        default=[],
    )
    q: str = about(
        "Only events with this text in a name or a value, upper or lower case. PII that the caller may not see is not "
        "searched.",
        default="",
        max_length=LONGEST_TEXT,
    )
    filter: QueryFilter = about(FILTER_HELP.format("events"), default=None)
    event_type: str = about("Only events of this type.", default="")
    since: QueryTime = about(f"From here on, this one included. {MOMENT}", default=None)
    until: QueryTime = about(f"Up to here, this one included. {MOMENT}", default=None)
    order: Order = about("Which come first.", default="newest")
    next: str = about("`next` of the answer before, to continue it.", default="")


class EventsQuery(SearchQuery):
    """The parameters of `GET /events`."""

    count: QueryInt = about("How many.", default=USUAL_EVENTS, ge=1, le=MOST_EVENTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that its caller may make.

    Attributes:
        parts: the range that is not searched yet, by stream.
        streams: the definitions of those streams.
        tag: the tag in its cursors (`search_tag`).
        cursor: the position at which it continues; None at its beginning.
        most: the most entries to examine, and `most_bytes` the most bytes of entries.
        write: serializes a row for the result.
    """

    parts: Mapping[str, Range]
    streams: Mapping[str, StreamDefinition]
    rights: Rights
    order: Order
    count: int
    event_type: str
    text: TextSearch | None
    filter: EventFilter | None
    tag: str
    cursor: Cursor | None = None
    most: int = MOST_ENTRIES
    most_bytes: int = MOST_BYTES
    write: Callable[[Mapping[str, Any]], bytes] = row_as_json

    @classmethod
    def from_query(
        cls, query: SearchQuery, catalog: Snapshot, by: Principal, *, count: int = MOST_EVENTS, **limits: Any
    ) -> "Search":
        """Return the search for up to `count` events of a query. `limits`: further attributes.

        Raises:
            Forbidden: when the caller may not read a stream, whether or not it exists.
            UnknownStream: when a stream is not defined.
            BadParameter: when the cursor or the number of streams cannot be used.
        """
        asked = _parse_names(query.stream)
        streams = _find_streams(asked, catalog, by)
        tag = search_tag(asked, query.order)
        cursor = read_cursor(query.next, tag)
        part = intersection(since=query.since, until=query.until)
        return cls(
            parts={name: cursor.range_left(part, name, query.order) if cursor else part for name in streams},
            streams=streams,
            rights=by.rights,
            order=query.order,
            count=count,
            event_type=query.event_type,
            text=TextSearch(query.q) if query.q else None,
            filter=query.filter,
            tag=tag,
            cursor=cursor,
            **limits,
        )

    def selection_of(self, stream: str) -> RowSelection:
        """Return the selection of the entries of a stream."""
        return RowSelection(
            self.streams[stream],
            self.rights,
            event_type=self.event_type,
            text=self.text,
            filter=self.filter,
            with_stream=True,
        )


def _parse_names(given: Sequence[str]) -> tuple[str, ...]:
    names = {name.strip(" ") for each in given for name in each.split(",")} - {""}
    if len(names) > MOST_STREAMS:
        raise BadParameter(
            f"“stream” names {len(names)} streams, and at most {MOST_STREAMS} are searched at once. Name fewer.",
            parameter="stream",
        )
    return (ALL,) if not names or ALL in names else tuple(sorted(names))


def _find_streams(asked: Sequence[str], catalog: Snapshot, by: Principal) -> dict[str, StreamDefinition]:
    if asked == (ALL,):
        found = {name: catalog.streams[name] for name in sorted(catalog.streams) if by.rights.may("read", name)}
        if len(found) > MOST_STREAMS:
            raise BadParameter(
                f"There are {len(found)} streams, and at most {MOST_STREAMS} are searched at once. Name those that you "
                "want with “stream”.",
                parameter="stream",
            )
        return found
    for name in asked:
        demand_right(by, "read", name)
    for name in asked:
        if name not in catalog.streams:
            raise UnknownStream(name)
    return {name: catalog.streams[name] for name in asked}


@dataclass(slots=True, kw_only=True)
class SearchResult:
    """The events that a search found in the entries that it examined.

    Attributes:
        rows: the events as JSON, or as `Search.write` serialized them, in order.
        moments: the time at which each was stored, in milliseconds since 1970.
        next: the cursor with which the search continues; None when all was searched.
        scanned: the number of examined entries.
        complete: False when the page ended early because enough had been looked at.
        unread: the errors of streams that could not be read, by stream.
        trimmed: streams with entries that were trimmed or deleted before the search reached them.
    """

    rows: list[bytes] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    next: str | None = None
    scanned: int = 0
    complete: bool = True
    unread: dict[str, str] = field(default_factory=dict)
    trimmed: list[str] = field(default_factory=list)


def find_events(search: Search) -> Conversation[SearchResult]:
    """Search a bounded number of entries for a page of events.

    Raises:
        WrongType, RedisUnavailable: when no stream can be read.
    """
    page = _Page(search)
    merge = Merge(search.parts, search.order, wanted=search.most if page.may_skip else search.count + 1)
    while not merge.done and not page.ended:
        batch = yield from merge.next_batch()
        yield ()  # many may have been answered at once
        begin = 0
        # Entries that were too large to be kept are read one by one.
        for at in [at for at, found in enumerate(batch) if found.entry is None]:
            yield from map_cooperatively(batch[begin:at], page.add)
            found = batch[at]
            page.add(found if page.ended else found._replace(entry=(yield from read_entry(found))))
            begin = at + 1
        yield from map_cooperatively(batch[begin:], page.add)
    result = page.result
    ended = merge.done and not page.has_rest
    result.complete = ended or page.full
    result.next = None if ended else str(page.cursor(merge))
    result.unread = {stream: str(problem_of(failure)) for stream, failure in merge.failures.items()}
    result.trimmed = _find_trimmed(search, merge.first_ids())
    return result


def _find_trimmed(search: Search, first: Mapping[str, EntryId | None]) -> list[str]:
    """Return the streams whose next entry, by the cursor of the previous page, does not exist any more."""
    heads = {} if search.cursor is None else search.cursor.heads
    gone = []
    for stream, id_ in first.items():
        head, part = heads.get(tag_of(stream)), search.parts[stream]
        if head is not None and part.first <= head <= part.last and id_ != head:
            gone.append(stream)
    return gone


class _Page:
    """The events of an answer, and the position of the search in each stream."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._selections = {name: search.selection_of(name) for name in search.streams}
        self._bytes = 0
        self._last: Found | None = None
        # By stream: the id after that of the last examined entry.
        self._behind: dict[str, EntryId] = {}
        # By stream: the id of the first entry that was not examined.
        self._left: dict[str, EntryId] = {}
        self.full = False
        self.result = SearchResult()

    @property
    def may_skip(self) -> bool:
        """Whether some entries may not match."""
        return any(selection.may_skip for selection in self._selections.values())

    @property
    def ended(self) -> bool:
        """Whether no further entry is examined."""
        return self.full or self.result.scanned >= self._search.most or self._bytes >= self._search.most_bytes

    @property
    def has_rest(self) -> bool:
        """Whether an entry was passed to `add` that was not examined."""
        return bool(self._left)

    def add(self, found: Found) -> None:
        """Examine the next entry, and add it if it matches. One entry more than the page can hold makes it full."""
        if self.ended or len(self.result.rows) == self._search.count:
            self.full = self.full or not self.ended
            self._left.setdefault(found.stream, found.id)
            return
        self.result.scanned += 1
        self._bytes += found.size
        self._last = found
        self._behind[found.stream] = following(found.id)
        row = self._selections[found.stream].row(found.entry) if found.entry else None
        if row is not None:
            # Each event is serialized immediately, so that no value is kept, and the event loop can run between two.
            self.result.rows.append(self._search.write(row))
            self.result.moments.append(found.id.ms)

    def cursor(self, merge: Merge) -> Cursor:
        """Return the position at which the search continues."""
        before, last = self._search.cursor, self._last
        if last is None:
            raise ValueError("a search that looked at nothing ends")
        at = Cursor(search=self._search.tag, id=last.id, tag=last.tag)
        if self._search.order == "newest":
            return at
        held = merge.finished_streams() - self._left.keys()
        if before is not None and (before.id, before.tag) > (at.id, at.tag):
            # The search read entries that were stored after the previous page, with lower ids than the end of that
            # page.
            at = Cursor(search=at.search, id=before.id, tag=before.tag)
            held |= {name for name in self._search.streams if tag_of(name) in before.begins}
        first = {name: self._behind.get(name, self._search.parts[name].first) for name in held}
        begins = {tag_of(name): id_ for name, id_ in first.items() if id_ < (at.first_after(tag_of(name)) or LAST)}
        coming = merge.next_ids() | self._left
        heads = {tag_of(name): id_ for name, id_ in coming.items() if id_ >= at.id}
        return Cursor(search=at.search, id=at.id, tag=at.tag, begins=begins, heads=heads)


class FoundEvent(OneMessage):
    """An event that was found, and its entry."""


class Interval(Answer):
    """How many of the found events were stored in an interval, in milliseconds since 1970."""

    begin: int = Field(alias="from", description="When it begins.")
    end: int = Field(alias="to", description="When the next one begins.")
    count: int


class UnreadStream(Answer):
    """A stream that could not be read."""

    stream: str
    error: str


class FoundEvents(Answer):
    """A page of events of one or many streams."""

    events: list[FoundEvent]
    order: str = about("newest or oldest first.")
    streams: list[str] = about("The streams that were searched.")
    next: str | None = about("Send it as `next` with the same query to continue; null when all was searched.")
    scanned: int = about("How many entries were looked at.")
    complete: bool = about("False when the page ended early because enough had been looked at.")
    histogram: list[Interval] = about(
        "The events of this answer over time: at most 60 intervals. The numbers of several answers can be added."
    )
    unread: list[UnreadStream] = about("Streams that could not be read; the answer is without their events.")
    trimmed: list[str] = about(
        "Oldest first: streams of which events were trimmed or deleted after the page before, and before this one."
    )


_EVENT = {"stream": "inference-events", **MESSAGE_EXAMPLE}
_PAGE = {
    "events": [_EVENT],
    "order": "newest",
    "streams": ["inference-events", "platform-events"],
    "next": "0c9b4bb4b4~1705314600000-0~8a5f3f8b0e",
    "scanned": 10_000,
    "complete": False,
    "histogram": [{"from": 1705314600000, "to": 1705314600100, "count": 1}],
    "unread": [],
    "trimmed": [],
}


def ids_by_stream(page: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the ids of the events in an answer, by stream."""
    found: dict[str, list[str]] = {}
    for each in page["events"]:
        found.setdefault(each["stream"], []).append(each["id"])
    return found


@endpoint(
    "GET",
    "/events",
    "Search events",
    FoundEvents,
    tag="events",
    query=EventsQuery,
    problems=[403, 404, 409],
    on_event_loop=EventLoop(queue="reads of many messages", size=lambda _: 1),
    reveals=ids_by_stream,
    examples=[Example("a page", _PAGE, 200)],
)
def search_events(call: Call[EventsQuery, None]) -> Conversation[Response]:
    """Events of one or many streams, merged by the time at which they were stored. At most 10,000 entries are looked at
    for one page: `complete` is false when that was not enough. To continue, send the same query with `next`: nothing is
    shown twice or left out, also when events came meanwhile; `trimmed` tells of events that were trimmed before."""
    search = Search.from_query(call.query, call.catalog, call.by, count=call.query.count)
    result = yield from find_events(search)
    document = {
        "events": None,
        "order": search.order,
        "streams": list(search.streams),
        "next": result.next,
        "scanned": result.scanned,
        "complete": result.complete,
        "histogram": histogram.count_by_interval(result.moments),
        "unread": [{"stream": stream, "error": error} for stream, error in result.unread.items()],
        "trimmed": result.trimmed,
    }
    return listing_response(document, "events", result.rows)
