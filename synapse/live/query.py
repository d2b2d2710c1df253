"""What one who watches asks for: from where, and which event types. Pure."""

from collections.abc import Set
from dataclasses import dataclass

from synapse.http.exchange import Request
from synapse.inspection.range_query import asked_range, check_parameters, parse_id
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, EntryId, preceding

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
