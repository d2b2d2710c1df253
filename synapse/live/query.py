"""Parse a request for the live tail, and keep the read loop's position in its stream."""

from collections import deque
from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass
from typing import ClassVar

from synapse.endpoints import Call, Query, about
from synapse.filters import FILTER_HELP, EventFilter, QueryFilter
from synapse.inspection.range_query import QueryTime, parse_id
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, EntryId, preceding

# A primary that takes over may lack the newest entries; this many are known again.
_REMEMBERED = 1000


class ReadCursor:
    """`at` is the last id that was read, None before the first look. After a silence or a failure the loop is not
    `sure` of it: the stream may have been deleted and created again, with ids that begin again."""

    def __init__(self) -> None:
        self.at: EntryId | None = None
        self.sure = False
        self._recent: deque[EntryId] = deque(maxlen=_REMEMBERED)

    def found(self, last: EntryId) -> bool:
        """Take up the stream's last id, 0-0 when there is no stream. Return True when it is another stream than
        before: everything in it is new."""
        self.sure = True
        if self.at is None:
            self._begin(last)
        elif last < self.at:
            if last in self._recent:
                # The same stream without its end, as after a failover: what comes next is what is new.
                self.at = last
            else:
                self._begin(FIRST)
                return True
        return False

    def passed(self, ids: Iterable[EntryId]) -> None:
        """Move on: these entries were read."""
        self._recent.extend(ids)
        self.at = self._recent[-1]

    def _begin(self, at: EntryId) -> None:
        self._recent.clear()
        self._recent.append(at)
        self.at = at


LAST_EVENT_ID = "last-event-id"
ID_HELP = "The id of the last event that was received: later ones come, nothing twice. 0 is everything there is."


class LiveQuery(Query):
    """Which events are watched."""

    repeatable: ClassVar[Collection[str]] = ("event_type",)
    event_type: list[str] = about("Only events of this type; can be given several times.", default=[])
    filter: QueryFilter = about(FILTER_HELP.format("events"), default=None)
    ticket: str = about("The ticket from `POST /streams/{stream}/live-ticket`, instead of a key.", default="")
    last_event_id: str = about(f"Like the header `Last-Event-ID`, where no header can be set. {ID_HELP}", default="")
    # As event sources in place of the browser's own send it, of which a page of another origin can set no header.
    lastEventId: str = about("Like `last_event_id`: some event sources send it under this name.", default="")
    since: QueryTime = about(
        "From here on, this one included: an entry id, milliseconds since 1970, or a time in ISO 8601.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TailQuery:
    """`event_types` is empty for all of them.

    `after` is where to continue: None means from now on. `was_seen` says that the caller had the entry of this id, so
    that it must hear when what follows it is gone.
    """

    event_types: Set[str] = frozenset()
    filter: EventFilter | None = None
    after: EntryId | None = None
    was_seen: bool = False


def asked(call: Call[LiveQuery, None]) -> TailQuery:
    """Return what a call asks for. The header `Last-Event-ID` counts before the parameters of that name, and these
    before `since`: a browser that comes back sends the header, and its first address again.

    Raises:
        BadParameter: when an id cannot be used.
    """
    query = call.query
    types = frozenset(query.event_type)
    named = (call.request.headers.get(LAST_EVENT_ID, ""), query.last_event_id, query.lastEventId)
    if given := next(filter(None, map(str.strip, named)), ""):
        after = _whole_id(given)
        return TailQuery(event_types=types, filter=query.filter, after=after, was_seen=after != FIRST)
    since = None if query.since is None else preceding(query.since.first)
    return TailQuery(event_types=types, filter=query.filter, after=since)


def _whole_id(text: str) -> EntryId:
    found = parse_id(text)
    if found is None:
        raise BadParameter(
            "“Last-Event-ID” is the id of an entry, such as 1705314600000-0, or 0 for all there is.",
            parameter="last_event_id",
        )
    return found.first
