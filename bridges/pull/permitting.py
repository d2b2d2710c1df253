"""Who may pull: the stream of a request, for callers who may read from it."""

from bridges.definitions import BridgeDefinition
from bridges.pull.asking import Place
from core.permission import demand_right
from core.principal import Principal
from core.rights import EVERY_TYPE
from streams.definitions import StreamDefinition
from streams.errors import UnknownStream
from streams.snapshot import holder


def stream_of(place: Place, by: Principal) -> StreamDefinition:
    """Return the stream that a caller pulls from.

    Raises:
        Forbidden: when they may not read from it.
        UnknownStream: when none of this name is defined.
    """
    demand_right(by, "read", place.stream)
    stream = holder.current().streams.get(place.stream)
    if stream is None:
        raise UnknownStream(place.stream)
    return stream


def demand_group(group: BridgeDefinition, by: Principal) -> None:
    """Make sure that a caller may have whatever the group gives out: it does not choose for whom.

    Raises:
        Forbidden: when the group has events of a type that the caller may not read.
    """
    for event_type in group.event_types or (EVERY_TYPE,):
        demand_right(by, "read", group.stream, event_type)
