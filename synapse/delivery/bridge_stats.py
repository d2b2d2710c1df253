"""How bridges are, for people who look: what their processes say, what Redis counts, how far behind they are.

One round trip for any number of bridges, and some more to count what is unread.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.status import Status, unpack
from synapse.inspection import lag
from synapse.inspection.lag import Lag
from synapse.problems import Problem
from synapse.redis import keyspace
from synapse.redis.commands import (
    consumer_status as consumer_status_commands,
)
from synapse.redis.commands import (
    dead_letters as dead_letter_commands,
)
from synapse.redis.commands import (
    streams as stream_commands,
)
from synapse.redis.commands.base import Conversation, ReplyError
from synapse.redis.commands.consumer_status import Report
from synapse.redis.commands.streams import Group
from synapse.redis.queries import answer, ask

# Whoever said nothing for so long does not run any more.
FRESH_MS = 10_000
# Figures say "so many or more" from here on; those of long lists sooner.
MOST_LAG, MOST_LAG_IN_LISTS, _LONG = 1000, 100, 10
# What is told of several processes: the worst that one of them says.
_WORST_FIRST = ("failed", "waiting", "running", "paused", "starting")
COUNTERS = ("done", "filtered", "retried", "dead", "parked", "lost_trimmed", "lost_silent", "groups_recreated")

Standing = Literal["failed", "waiting", "running", "paused", "starting", "not running", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How one bridge is.

    `statuses` are those of the processes that run it, by consumer. `counters` are those of its group since it was made.
    `pending` are in a consumer's hand, `waiting` will be delivered again, `dead` were given up.
    `lag` is None when there is no group yet. `last_done_ms`: when the group last settled an event that was delivered,
    by Redis' clock, in milliseconds since 1970; 0: never.
    `problem` says why Redis could not tell.
    """

    bridge: BridgeDefinition
    statuses: Mapping[str, Status] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    pending: int = 0
    waiting: int = 0
    dead: int = 0
    lag: Lag | None = None
    lag_seconds: float = 0.0
    last_done_ms: int = 0
    problem: Problem | None = None

    @property
    def state(self) -> Standing:
        """How it is in a word."""
        if not self.bridge.enabled:
            return "disabled"
        return self.worst.state if self.worst else "not running"

    @property
    def worst(self) -> Status | None:
        """The status of the process that fares worst, None when there is none."""
        by_state = sorted(self.statuses.values(), key=lambda status: _WORST_FIRST.index(status.state))
        return by_state[0] if by_state else None

    @property
    def reason(self) -> str:
        """Why it does not run, or what went wrong last."""
        return (self.worst.reason or self.worst.error) if self.worst else ""

    @property
    def last_delivered_ms(self) -> int | None:
        """When an event was last delivered, in milliseconds since 1970; None when nobody knows of any."""
        said = [int(at * 1000) for status in self.statuses.values() if (at := status.last_delivered_at)]
        return max([*said, self.last_done_ms]) or None


def fresh_statuses(said: Mapping[str, Report], beats: Any, now_ms: int) -> dict[str, Status]:
    """Return what consumers say of themselves that run still: they said it lately, or their process says that it lives.

    Args:
        said: the reports by consumer.
        beats: those of the processes, as `consumer_status_commands.beats` reads them, or an error.
        now_ms: the time by the server's clock.
    """
    alive = {} if isinstance(beats, ReplyError) else beats
    found = {}
    for name, row in said.items():
        beat = alive.get(name.rpartition(":")[0])
        heard = max(row.at, beat.at) if beat else row.at
        if now_ms - heard < FRESH_MS and (status := unpack(row.words)) is not None:
            found[name] = status
    return found


def of(bridges: Iterable[BridgeDefinition]) -> Conversation[dict[str, Overview]]:
    """Find out how the bridges are, by name. What is wrong with one is its own `problem`.

    Raises:
        Unavailable: when Redis cannot be used.
    """
    known = list(bridges)
    if not known:
        return {}
    asked = [
        consumer_status_commands.now(),
        consumer_status_commands.beats(),
        *(command for bridge in known for command in _asked(bridge)),
    ]
    now_ms, beats, *replies = yield from ask(asked)
    found = {
        bridge.name: _Found(bridge, beats, *replies[place : place + 5])
        for bridge, place in zip(known, range(0, len(replies), 5), strict=True)
    }
    groups = {(one.bridge.stream, one.bridge.group): one.group for one in found.values() if one.group}
    most = MOST_LAG_IN_LISTS if len(groups) > _LONG else MOST_LAG
    lags = yield from lag.of({name: group.last_delivered_id for name, group in groups.items()}, most=most)
    return {name: one.overview(now_ms, lags) for name, one in found.items()}


def _asked(bridge: BridgeDefinition) -> Sequence[Any]:
    stream, group = bridge.stream, bridge.group
    return (
        consumer_status_commands.reports(stream, group),
        stream_commands.hgetall(keyspace.counters(stream, group)),
        stream_commands.xinfo_groups(stream),
        stream_commands.zcard(keyspace.waiting(stream, group)),
        dead_letter_commands.count(stream, group),
    )


class _Found:
    """What Redis answered of one bridge."""

    def __init__(
        self, bridge: BridgeDefinition, beats: Any, said: Any, counters: Any, groups: Any, *sizes: Any
    ) -> None:
        self.bridge = bridge
        self._beats = beats
        # Somebody else's key in the place of ours tells nothing; it is no reason to fail.
        self._said: Mapping[str, Report] = {} if isinstance(said, ReplyError) else said
        self._counters: Mapping[str, bytes] = {} if isinstance(counters, ReplyError) else counters
        self._waiting, self._dead = (0 if isinstance(size, ReplyError) else size for size in sizes)
        self._problem: Problem | None = None
        try:
            rows: list[Group] = answer(groups, bridge.stream, absent=[])
        except Problem as problem:
            rows, self._problem = [], problem
        self.group = next((row for row in rows if row.name == bridge.group), None)

    def overview(self, now_ms: int, lags: Mapping[lag.Name, Lag]) -> Overview:
        behind = lags.get((self.bridge.stream, self.bridge.group))
        return Overview(
            bridge=self.bridge,
            statuses=fresh_statuses(self._said, self._beats, now_ms),
            counters={name: _number(self._counters.get(name, b"0")) for name in COUNTERS},
            pending=self.group.pending if self.group else 0,
            waiting=self._waiting,
            dead=self._dead,
            lag=behind,
            lag_seconds=behind.seconds(now_ms) if behind else 0.0,
            last_done_ms=_number(self._counters.get("last_done", b"0")),
            problem=self._problem,
        )


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0
