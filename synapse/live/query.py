"""Parse the request for a live tail, of one stream or many, and keep the read loop's position in its stream."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from synapse.auth.permission import demand_right, refused_right
from synapse.auth.principal import Rights
from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents.attributes import STRUCTURED
from synapse.endpoints import Call, Query, about
from synapse.errors.streams import UnknownStream
from synapse.filters import FILTER_HELP, EventFilter, QueryFilter
from synapse.formats.text import tag_of
from synapse.http.accept import accepts_by_name
from synapse.inspection.range_query import QueryTime, parse_id
from synapse.live.positions import MOST_STREAMS, ReadPositions, parse_positions
from synapse.problems import BadParameter, Forbidden, Problem
from synapse.wire.ids import FIRST, EntryId, preceding

# After a failover, the new primary may lack the newest entries; this many ids are recognized again.
_REMEMBERED = 1000


class ReadCursor:
    """The position of a read loop in its stream.

    `at` is the last id that was read, None before the first look. The position is not `sure` after a silence or a
    failure: the stream may have been deleted and created again, with ids that start over.
    """

    def __init__(self) -> None:
        self.at: EntryId | None = None
        self.sure = False
        self._recent: deque[EntryId] = deque(maxlen=_REMEMBERED)

    def compare(self, last: EntryId) -> bool:
        """Compare the position with the stream's last id, 0-0 when there is no stream. Return True when the stream was
        created again: all its entries are new.
        """
        self.sure = True
        if self.at is None:
            self._begin(last)
        elif last < self.at:
            if last in self._recent:
                # The same stream without its newest entries, as after a failover: entries after `last` are new.
                self.at = last
            else:
                self._begin(FIRST)
                return True
        return False

    def advance(self, ids: Iterable[EntryId]) -> None:
        """Move behind these entries, which were read."""
        self._recent.extend(ids)
        self.at = self._recent[-1]

    def _begin(self, at: EntryId) -> None:
        self._recent.clear()
        self._recent.append(at)
        self.at = at


LAST_EVENT_ID = "last-event-id"
ID_HELP = "The id of the last event that was received: later ones come, nothing twice. 0 is everything there is."
ALL = "*"


class WatchQuery(Query):
    """The watched events, and the position from which on."""

    repeatable: ClassVar[Collection[str]] = ("event_type",)
    event_type: list[str] = about("Only events of this type; can be given several times.", default=[])
    filter: QueryFilter = about(FILTER_HELP.format("events"), default=None)
    last_event_id: str = about(f"Like the header `Last-Event-ID`, where no header can be set. {ID_HELP}", default="")
    # Replacements for the browser's own event source send this parameter, because a page of another origin can set no
    # header.
    lastEventId: str = about("Like `last_event_id`: some event sources send it under this name.", default="")
    since: QueryTime = about(
        "From here on, this one included: an entry id, milliseconds since 1970, or a time in ISO 8601.", default=None
    )
    format: Literal["messages", "cloudevents"] = about(
        f"The form of the events, instead of `{STRUCTURED}` in the header `Accept`.",
        default="messages",
    )


class LiveQuery(WatchQuery):
    """The watched events of one stream."""

    ticket: str = about("The ticket from `POST /streams/{stream}/live-ticket`, instead of a key.", default="")


class ManyLiveQuery(WatchQuery):
    """The streams that are watched over one connection, and the events in each."""

    repeatable: ClassVar[Collection[str]] = ("stream", "event_type")
    stream: list[str] = about(
        f"The streams, several with commas between or by repeating the parameter, at most {MOST_STREAMS}; `{ALL}` or "
        "none: all that the caller may read, with those that come later.",
        default=[],
    )
    ticket: str = about("The ticket from `POST /live-ticket`, instead of a key.", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class TailQuery:
    """The watched events of a stream. No `event_types` means all types.

    `after` is the id to continue after; None means only new events. `was_seen` is true when the caller has received the
    entry of this id, so that it has to be told when entries after it are missing.
    """

    event_types: Set[str] = frozenset()
    filter: EventFilter | None = None
    after: EntryId | None = None
    was_seen: bool = False

    def wants(self, event_type: str, may_see: Callable[[str], bool] | None) -> bool:
        """Say whether events of a type are requested and the caller may see them."""
        if self.event_types and event_type not in self.event_types:
            return False
        return may_see is None or may_see(event_type)

    def resumed(self, after: EntryId) -> "TailQuery":
        """Return the query that continues after an entry that the caller has received."""
        return replace(self, after=after, was_seen=after != FIRST)


def parse_tail_query(call: Call[LiveQuery, None]) -> TailQuery:
    """Parse the query of a request. The header `Last-Event-ID` takes precedence over the parameters of that name, and
    these over `since`: a browser that reconnects sends the header together with its first address.

    Raises:
        BadParameter: when an id is invalid.
    """
    query = _tail_query(call.query)
    if given := _last_event_id(call):
        return query.resumed(_whole_id(given))
    return query


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyTails:
    """The streams that a caller watches over one connection.

    Attributes:
        streams: the query of each stream by name, with the position to continue from.
        later: the query of streams that are defined later; None when the caller named the streams.
    """

    streams: Mapping[str, TailQuery]
    later: TailQuery | None = None


def parse_many_tails(call: Call[ManyLiveQuery, None]) -> ManyTails:
    """Parse the query of a request for many streams. Positions take precedence as in `parse_tail_query`.

    Raises:
        BadParameter: when there are too many streams, or the positions are invalid or belong to other streams.
        Forbidden, UnknownStream: for a stream that the caller may not read, or that is not defined. If the caller
            has a position in the stream and other streams remain, the stream is left out instead.
    """
    names = {name.strip(" ") for each in call.query.stream for name in each.split(",")} - {""}
    query, given = _tail_query(call.query), _last_event_id(call)
    if given == "0":
        query, given = query.resumed(FIRST), ""
    positions = parse_positions(given) if given else None
    if not names or ALL in names:
        return _all_tails(call, query, positions)
    check_number(len(names))
    if positions is not None and (positions.of_all or not positions.ids.keys() <= {tag_of(name) for name in names}):
        raise _wrong_streams()
    missing: Problem | None = None
    streams: dict[str, TailQuery] = {}
    for name in sorted(names):
        at = None if positions is None else positions.position_of(name)
        try:
            demand_right(call.by, "read", name)
            if name not in call.catalog.streams:
                raise UnknownStream(name)
        except (Forbidden, UnknownStream) as problem:
            if at is None:
                raise
            missing = problem
        else:
            streams[name] = query if at is None else query.resumed(at)
    if missing is not None and not streams:
        raise missing
    return ManyTails(streams=streams)


def _all_tails(call: Call[ManyLiveQuery, None], query: TailQuery, positions: ReadPositions | None) -> ManyTails:
    names = readable_streams(call.catalog, call.by.rights)
    if not names and call.catalog.streams:
        raise refused_right(call.by, "read", "any stream")
    check_number(len(names))
    if positions is None:
        return ManyTails(streams=dict.fromkeys(names, query), later=query)
    if not positions.of_all:
        raise _wrong_streams()
    came_later = replace(query, after=positions.start_of_later_stream())
    begins = {name: positions.position_of(name) for name in names}
    return ManyTails(
        streams={name: came_later if at is None else query.resumed(at) for name, at in begins.items()}, later=query
    )


def readable_streams(catalog: Snapshot, rights: Rights) -> list[str]:
    """Return the streams that a caller may read."""
    return [name for name in sorted(catalog.streams) if rights.may("read", name)]


def check_number(streams: int) -> None:
    """Check the number of streams that one connection watches.

    Raises:
        BadParameter: when there are too many.
    """
    if streams > MOST_STREAMS:
        raise BadParameter(
            f"These are {streams} streams, and one connection watches at most {MOST_STREAMS}. Name those that you want "
            "with “stream”.",
            parameter="stream",
        )


def _wrong_streams() -> BadParameter:
    return BadParameter(
        "“Last-Event-ID” is of a connection that watched other streams. Send it with the “stream” of that connection, "
        "or leave it out.",
        parameter="last_event_id",
    )


def wants_cloudevents(call: Call[Any, None]) -> bool:
    """Say whether a viewer wants CloudEvents: by the parameter, or by naming their media type besides server-sent
    events in the header `Accept`.
    """
    return call.query.format == "cloudevents" or accepts_by_name(call.request.headers.get("accept", ""), STRUCTURED)


def _tail_query(query: WatchQuery) -> TailQuery:
    since = None if query.since is None else preceding(query.since.first)
    return TailQuery(event_types=frozenset(query.event_type), filter=query.filter, after=since)


def _last_event_id(call: Call[Any, None]) -> str:
    named = (call.request.headers.get(LAST_EVENT_ID, ""), call.query.last_event_id, call.query.lastEventId)
    return next(filter(None, map(str.strip, named)), "")


def _whole_id(text: str) -> EntryId:
    found = parse_id(text)
    if found is None:
        raise BadParameter(
            "“Last-Event-ID” is the id of an entry, such as 1705314600000-0, or 0 for all there is.",
            parameter="last_event_id",
        )
    return found.first
