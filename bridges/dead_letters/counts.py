"""Where there are dead letters: the groups of all streams, or of one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridges import snapshot
from streams.snapshot import holder
from synapse.problems import Problem
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import Conversation
from synapse.redis.queries import answer, ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A group of a stream, and how many dead letters it has. `bridge` is the name of the bridge that reads as it."""

    stream: str
    group: str
    count: int
    bridge: str = ""


def places() -> Conversation[list[Place]]:
    """Find out how many dead letters each group has, of all streams: the most first, those that have none left out.

    Raises:
        Unavailable: when Redis cannot be used.
    """
    streams = sorted(holder.current().streams)
    bridges = {(bridge.stream, bridge.group): bridge.name for bridge in snapshot.holder.current().values()}
    replies = (yield from ask([stream_commands.xinfo_groups(stream) for stream in streams])) if streams else []
    known = set(bridges)
    for stream, reply in zip(streams, replies, strict=True):
        known |= {(stream, found.name) for found in _or(reply, stream, [])}
    counts = yield from counts_of(sorted(known))
    found = [
        Place(stream=stream, group=group, count=count, bridge=bridges.get((stream, group), ""))
        for (stream, group), count in counts.items()
        if count
    ]
    return sorted(found, key=lambda place: -place.count)


def counts_of(groups: Iterable[tuple[str, str]]) -> Conversation[dict[tuple[str, str], int]]:
    """Find out how many dead letters each of these has: pairs of a stream and a group."""
    asked = list(groups)
    replies = (yield from ask([dead_letter_commands.count(*one) for one in asked])) if asked else []
    return {one: _or(reply, one[0], 0) for one, reply in zip(asked, replies, strict=True)}


def _or(reply: Any, stream: str, otherwise: Any) -> Any:
    """Return a reply; somebody else's key in place of ours tells nothing, and is no reason to fail."""
    try:
        return answer(reply, stream, absent=otherwise)
    except Problem:
        return otherwise
