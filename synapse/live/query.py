"""Parse a request for the live tail, and keep the read loop's position in its stream."""

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass

from synapse.http.exchange import Request
from synapse.inspection.range_query import asked_range, check_parameters, parse_id
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, EntryId, preceding

# A primary that takes over may lack the newest entries; this many are known again.
_REMEMBERED = 1000


class Place:
    """`at` is the last id that was read, None before the first look. After a silence or a failure the loop is not
    `sure` of it: the stream may have been deleted and made anew, with ids that begin again."""

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
_PARAMETER = "last_event_id"
# As event sources in place of the browser's own send it, of which a page of another origin can set no header.
_OTHER_NAME = "lastEventId"
PARAMETERS = ("event_type", "ticket", _PARAMETER, _OTHER_NAME, "since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`event_types` is empty for all of them.

    `after` is where to go on: None means from now on. `was_seen` says that the caller had the entry of this id, so
    that it must hear when what follows it is gone.
    """

    event_types: Set[str] = frozenset()
    after: EntryId | None = None
    was_seen: bool = False


def asked(request: Request) -> Asked:
    """Return what the request asks for. The header `Last-Event-ID` counts before the parameter of that name, and both
    before `since`: a browser that comes back sends the header, and its first address again.

    Raises:
        BadParameter: when an id or a time cannot be used.
    """
    check_parameters(request, *PARAMETERS, repeatable=("event_type",))
    types = frozenset(text for text in request.values("event_type") if text)
    given = request.headers.get(LAST_EVENT_ID, "").strip() or _parameter(request, _PARAMETER, _OTHER_NAME)
    if given:
        after = _whole_id(given)
        return Asked(event_types=types, after=after, was_seen=after != FIRST)
    since = request.query.get("since", "").strip()
    if not since:
        return Asked(event_types=types)
    return Asked(event_types=types, after=preceding(asked_range({"since": since}).first))


def _parameter(request: Request, *names: str) -> str:
    """Return the first of these parameters that is given, "" when none is."""
    return next(filter(None, (request.query.get(name, "").strip() for name in names)), "")


def _whole_id(text: str) -> EntryId:
    found = parse_id(text)
    if found is None:
        raise BadParameter(
            "“Last-Event-ID” is the id of an entry, such as 1705314600000-0, or 0 for all there is.",
            parameter=_PARAMETER,
        )
    return found.first
