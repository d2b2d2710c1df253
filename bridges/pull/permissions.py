"""Check which streams and groups a caller may pull from, and note when each group was last read.

Reads are noted in memory and written to the database at intervals.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bridges.models import OpenedGroup
from streams.snapshot import holder
from synapse.auth.permission import demand_right, demand_scope
from synapse.auth.principal import EVERY_TYPE, PERSONAL, Principal
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.streams import UnknownStream
from synapse.problems import Forbidden
from synapse.pull.requests import Place

# No group's row is written more often than this, by all processes together: what expires does so after days.
_WRITE_EVERY = timedelta(hours=12)

# When each group was read last through this process, and is not written yet. Only groups that are there are noted.
_read: dict[tuple[str, str], float] = {}


def note(stream: str, group: str) -> None:
    """Note that a group is read now."""
    _read[stream, group] = time.time()


def flush() -> None:
    """Write when groups were read. It changes nothing of the catalog, so no process is told."""
    for place in list(_read):
        moment = datetime.fromtimestamp(_read.pop(place), UTC)
        rows = OpenedGroup.objects.filter(bridge__stream__name=place[0], bridge__group=place[1])
        rows.filter(read_at__lt=moment - _WRITE_EVERY).update(read_at=moment)


GROUPS = "groups:write"
# What is given out is not masked, and what is taken is taken from a program: a person needs both rights.
_OF_PEOPLE = (PERSONAL, GROUPS)


def stream_of(place: Place, by: Principal) -> StreamDefinition:
    """Return the stream that a caller pulls from.

    Raises:
        Forbidden: when they may not read from it; when they are a person who may not see what is personal, or may not
            act on groups.
        UnknownStream: when none of this name is defined.
    """
    demand_right(by, "read", place.stream)
    for scope in _OF_PEOPLE if by.kind == "person" else ():
        demand_scope(by, scope)
    stream = holder.current().streams.get(place.stream)
    if stream is None:
        raise UnknownStream(place.stream)
    return stream


def demand_group(group: BridgeDefinition, by: Principal) -> None:
    """Make sure that a caller may take and settle whatever the group gives out: it does not choose for whom, and it
    belongs to the service that opened it.

    Raises:
        Forbidden: when the group has events of a type that the caller may not read; when another service opened it,
            and the caller may not act on groups.
    """
    _demand_types(group.stream, group.event_types or (EVERY_TYPE,), by)
    if group.opened_by and not _is(by, group.opened_by) and not by.rights.has(GROUPS):
        refusal = f"{by} may not use the group “{group.group}” of another service: the scope “{GROUPS}” is missing."
        raise Forbidden(refusal, missing=GROUPS)


def may_use_any_group(place: Place, by: Principal) -> bool:
    """Say whether a caller may use every group of the stream, whosever it is."""
    return by.rights.has(GROUPS) and by.rights.may("read", place.stream, EVERY_TYPE)


def demand_opening(place: Place, by: Principal) -> None:
    """Make sure that a caller may open a group: it gives out events of all types.

    Raises:
        Forbidden: when they may not read all of them.
    """
    _demand_types(place.stream, (EVERY_TYPE,), by)


def owner_of_what_opens(by: Principal) -> str:
    """Return to which service a group belongs that a caller opens: "" for none."""
    return by.name if by.kind == "service" else ""


def _is(by: Principal, service: str) -> bool:
    return by.kind == "service" and by.name == service


def _demand_types(stream: str, event_types: Iterable[str], by: Principal) -> None:
    for event_type in event_types:
        demand_right(by, "read", stream, event_type)
