"""The consumer groups of a stream: their consumers, their backlogs, and their lags."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from synapse.auth.permission import Requirement
from synapse.endpoints import Call, Query, endpoint
from synapse.inspection.answers import Groups
from synapse.inspection.lag import Lag, lags_of
from synapse.inspection.range_query import parse_id
from synapse.redis import Command, Conversation, answer, answer_or, ask, keyspace
from synapse.redis.commands.groups import first_waiting, oldest_pending
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import Consumer, Group, hgetall, xinfo_consumers, xinfo_groups, xlen, zcard
from synapse.wire.ids import parse

# The names of a stream and of a group of that stream.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of a group: a bridge that delivers its events, or a bridge that is pulled over HTTP."""

    kind: Literal["bridge", "pull"]
    name: str
    enabled: bool
    paused: bool
    owner: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


Owners = Mapping[Place, Owner]

_providers: list[Callable[[], Owners]] = []
_renamers: list[Callable[[str, str], None]] = []


def provide_owners(provider: Callable[[], Owners]) -> None:
    """Register a provider of group owners. It is called whenever groups are shown, so it must answer from memory,
    without I/O.
    """
    _providers.append(provider)


def owners() -> Owners:
    """Return the known owners by group. A group without an owner belongs to another program."""
    found: dict[Place, Owner] = {}
    for provider in _providers:
        found |= provider()
    return found


def on_renamed_service(listener: Callable[[str, str], None]) -> None:
    """Register a listener for renamed services. It is called with the old and the new name, in the transaction that
    renames.
    """
    _renamers.append(listener)


def rename_service(before: str, after: str) -> None:
    """Tell the listeners that a service was renamed, so that its groups follow."""
    for listener in _renamers:
        listener(before, after)


# Waiting events are sorted by due time, not by age: the oldest is searched among this many.
MOST_WAITING = 1000
# Counters that the delivery scripts keep for a group and the API shows.
COUNTED = ("lost_trimmed", "lost_silent", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """The status of a group: its backlog by state, and its consumers.

    `oldest_ms` is the publishing time of the oldest unacknowledged event, dead letters left out. It is not exact
    (`oldest_exact`) when too many events are scheduled for retry to read all. `counted` has the counters named in
    `COUNTED`.
    """

    group: Group
    members: Sequence[Consumer]
    behind: Lag
    waiting: int
    parked: int
    dead: int
    oldest_ms: int | None
    oldest_exact: bool
    counted: Mapping[str, int]
    owner: Owner | None

    @property
    def owed(self) -> int:
        """The number of unacknowledged events with dead letters. Unread events count up to the limit of the lag."""
        return self.behind.events + self.group.pending + self.waiting + self.parked + self.dead

    def as_dict(self, now_ms: float) -> dict[str, Any]:
        """Return the status as the API shows it. `now_ms` is in milliseconds since 1970."""
        age = 0.0 if self.oldest_ms is None else round(max(0.0, now_ms - self.oldest_ms) / 1000, 3)
        return {
            "name": self.group.name,
            "belongs_to": asdict(self.owner) if self.owner else None,
            "consumers": self.group.consumers,
            "last_delivered_id": self.group.last_delivered_id,
            "lag": self.behind.events,
            "lag_exact": self.behind.exact,
            "lag_seconds": self.behind.seconds(now_ms),
            "pending": self.group.pending,
            "waiting": self.waiting,
            "parked": self.parked,
            "dead": self.dead,
            "oldest_seconds": age,
            "oldest_exact": self.oldest_exact,
            **self.counted,
            "members": [
                {"name": one.name, "pending": one.pending, "idle_seconds": one.idle / 1000} for one in self.members
            ],
        }


@endpoint(
    "GET",
    "/streams/{stream}/groups",
    "List a stream's consumer groups",
    Groups,
    tag="streams",
    query=Query,
    of_stream=True,
    requires=Requirement(read=True, otherwise="streams:read"),
    has_entity_tag=True,
)
def list_groups(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """Lists the groups of a stream with their consumers, unacknowledged events and lag. Lag is counted up to 10,000
    events; `lag_exact` is false when there are more."""
    found = yield from statuses_of(call.stream.name)
    now_ms = time.time() * 1000
    return {"stream": call.stream.name, "groups": [one.as_dict(now_ms) for one in found]}


def statuses_of(stream: str, *, only: str | None = None) -> Conversation[list[GroupStatus]]:
    """Return the status of each group of a stream, or of the group `only`.

    Takes one pipeline for all groups, and more to count unread events.
    """
    (reply,) = yield from ask([xinfo_groups(stream)])
    rows: list[Group] = answer(reply, stream, absent=[])
    found = [row for row in rows if only in (None, row.name)]
    asked = [_status_commands(stream, group.name) for group in found]
    replies = (yield from ask([command for some in asked for command in some])) if asked else []
    behind = yield from lags_of({(stream, group.name): group.last_delivered_id for group in found})
    whose = owners()
    size = len(replies) // len(found) if found else 0
    return [
        _status_of(
            stream,
            group,
            replies[place * size : (place + 1) * size],
            behind=behind[stream, group.name],
            owner=whose.get((stream, group.name)),
        )
        for place, group in enumerate(found)
    ]


def _status_commands(stream: str, group: str) -> list[Command]:
    return [
        xinfo_consumers(stream, group),
        oldest_pending(stream, group),
        hgetall(keyspace.counters(stream, group)),
        zcard(keyspace.waiting(stream, group)),
        first_waiting(stream, group, count=MOST_WAITING),
        xlen(keyspace.dead_letters(stream, group)),
    ]


def _status_of(stream: str, group: Group, replies: Sequence[Any], *, behind: Lag, owner: Owner | None) -> GroupStatus:
    members, pending = (
        answer(reply, stream, absent=absent) for reply, absent in zip(replies[:2], ([], ""), strict=True)
    )
    counters, waiting, first, dead = (
        answer_or(reply, stream, otherwise) for reply, otherwise in zip(replies[2:], ({}, 0, [], 0), strict=True)
    )
    known = [id_ for id_ in (pending, *first) if parse_id(id_)]
    ages = [parse(id_).ms for id_ in known] + ([] if behind.since is None else [behind.since])
    return GroupStatus(
        group=group,
        members=members,
        behind=behind,
        waiting=waiting,
        parked=number(counters.get("parked")),
        dead=dead,
        oldest_ms=min(ages, default=None),
        oldest_exact=waiting <= MOST_WAITING,
        counted={name: number(counters.get(name)) for name in COUNTED},
        owner=owner,
    )
