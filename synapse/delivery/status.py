"""The status of bridges: the reports of their processes, and the counts in Redis, for people.

Reading takes one round trip for any number of bridges, and some more to count unread events.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import orjson

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.inspection.lag import GroupName, Lag, lags_of
from synapse.redis import Conversation, RedisFailure, ReplyError, answer, ask, keyspace
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import participants
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.participants import Report
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import Group
from synapse.statistics.health import Health, health_of

# `waiting`: for Redis, or for a sink that can take no event now. `failed`: a person has to fix something.
State = Literal["starting", "running", "paused", "waiting", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The status of one consumer of a bridge. Times are seconds since 1970; counts are those of this run.

    `reason` says why it does not run. `failed` counts attempts, `dead` the events that were given up. `error` is the
    last error with an event, even while it runs.
    """

    state: State
    since: float
    reason: str = ""
    error: str = ""
    last_delivered_at: float | None = None
    delivered: int = 0
    failed: int = 0
    dead: int = 0
    filtered: int = 0
    lost: int = 0


def pack(status: Status) -> bytes:
    """Return a status as text for Redis."""
    return orjson.dumps(asdict(status))


def unpack(words: bytes) -> Status | None:
    """Return the status that `pack` made a text of, None for a text in another format."""
    try:
        found = orjson.loads(words)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.get("state") not in get_args(State):
        return None
    known = {field.name: found[field.name] for field in fields(Status) if field.name in found}
    return Status(**known) if _has_valid_types(known) else None


def _has_valid_types(values: dict[str, Any]) -> bool:
    texts, numbers = ("state", "reason", "error"), ("since", "delivered", "failed", "dead", "filtered", "lost")
    return (
        all(isinstance(values.get(name, ""), str) for name in texts)
        and all(isinstance(values.get(name, 0), int | float) for name in numbers)
        and isinstance(values.get("last_delivered_at"), int | float | None)
        and "since" in values
    )


class Progress:
    """The counts of a worker since its start, and its current state. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._state: State = "starting"
        self._since = clock()
        self._reason = ""
        self._last_delivered_at: float | None = None
        self.delivered = 0
        self.failed = 0
        self.dead = 0
        self.filtered = 0
        self.lost = 0
        # The last error with an event.
        self.error = ""

    def record_delivered(self, count: int) -> None:
        """Count events that the sink took."""
        if count:
            self.delivered += count
            self._last_delivered_at = self._clock()

    def record_error(self, text: str) -> None:
        """Record an error with an event."""
        self.failed += 1
        self.error = text

    def set_running(self) -> None:
        """Record that the worker is running."""
        self._set_state("running", "")

    def set_paused(self) -> None:
        """Record that the worker is paused."""
        self._set_state("paused", "")

    def set_waiting(self, reason: str, *, broken: bool = False) -> None:
        """Record the reason that keeps the worker from working; `broken`: a person has to fix it."""
        self._set_state("failed" if broken else "waiting", reason)

    def status(self) -> Status:
        """Return the counts and the state as a value."""
        return Status(
            state=self._state,
            since=self._since,
            reason=self._reason,
            error=self.error,
            last_delivered_at=self._last_delivered_at,
            delivered=self.delivered,
            failed=self.failed,
            dead=self.dead,
            filtered=self.filtered,
            lost=self.lost,
        )

    def _set_state(self, state: State, reason: str) -> None:
        if state != self._state:
            self._since = self._clock()
        self._state, self._reason = state, reason


# A consumer whose last report is older does not run any more.
FRESH_MS = 10_000
# Lag is counted up to this number (“1000 or more”), and up to the smaller one for more than _LONG bridges.
MOST_LAG, MOST_LAG_IN_LISTS, _LONG = 1000, 100, 10
# The state of a bridge with several processes is the worst of theirs.
_WORST_FIRST = ("failed", "waiting", "running", "paused", "starting")
COUNTERS = ("done", "filtered", "retried", "dead", "parked", "lost_trimmed", "lost_silent", "groups_recreated")

BridgeState = Literal["failed", "waiting", "running", "paused", "starting", "not running", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The status of one bridge.

    `statuses` are the reports of the processes that run it, by consumer. `counters` are those of its group since it was
    created. `pending` events are in flight, `waiting` are scheduled for retry, `dead` were given up. `lag` is None when
    there is no group yet. `last_done_ms`: when the group last acknowledged a delivered event, by Redis' clock, in
    milliseconds since 1970; 0: never. `failed_lately`: the attempts that failed in the last two minutes, if statistics
    were read. `last_heard_ms`: the time of the last report of a process, if `read_states` was used; 0: none lately.
    `problem` is the reason that Redis could not answer.
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
    failed_lately: int = 0
    last_heard_ms: int = 0
    problem: RedisFailure | None = None

    @property
    def health(self) -> Health:
        """The health of the bridge, in one word. It is failing when attempts fail, also while its process runs."""
        return health_of(
            stopped=not self.bridge.enabled or (self.state == "not running" and not self.bridge.is_pulled),
            paused=self.state == "paused",
            fails=self.state == "failed" or self.failed_lately > 0,
            degraded=self.state == "waiting" or self.waiting > 0 or self.dead > 0,
        )

    @property
    def state(self) -> BridgeState:
        """The state of the bridge."""
        if not self.bridge.enabled:
            return "disabled"
        return self.worst.state if self.worst else "not running"

    @property
    def lost(self) -> int:
        """How many events were trimmed or deleted before the group acknowledged them."""
        return self.counters["lost_trimmed"] + self.counters["lost_silent"]

    @property
    def was_read(self) -> bool:
        """Say whether any event of its group was ever read."""
        return bool(self.last_done_ms or self.pending or self.waiting or self.dead or any(self.counters.values()))

    @property
    def worst(self) -> Status | None:
        """The worst status of all processes, None without processes."""
        return worst_of(self.statuses)

    @property
    def reason(self) -> str:
        """The reason that the bridge does not run, otherwise its last error."""
        return (self.worst.reason or self.worst.error) if self.worst else ""

    @property
    def last_delivered_ms(self) -> int | None:
        """When an event was last delivered, in milliseconds since 1970; None when unknown."""
        said = [int(at * 1000) for status in self.statuses.values() if (at := status.last_delivered_at)]
        return max([*said, self.last_done_ms]) or None


def worst_of(statuses: Mapping[str, Status]) -> Status | None:
    """Return the worst status of all processes, None without processes."""
    return min(statuses.values(), key=lambda status: _WORST_FIRST.index(status.state), default=None)


def fresh_statuses(said: Mapping[str, Report], beats: Any, now_ms: int) -> dict[str, Status]:
    """Return the reports of consumers that still run: the report is recent, or the process's heartbeat is.

    Args:
        said: the reports, by consumer.
        beats: the heartbeats of the processes, as `participants.read_heartbeats` reads them, or an error.
        now_ms: the time by the server's clock.
    """
    return {
        name: status
        for name, row in said.items()
        if now_ms - _last_report_ms(name, row, beats) < FRESH_MS and (status := unpack(row.words)) is not None
    }


def _last_report_ms(name: str, row: Report, beats: Any) -> int:
    """Return the time of a consumer's last report, or of its process's last heartbeat, whichever is later."""
    beat = None if isinstance(beats, ReplyError) else beats.get(name.rpartition(":")[0])
    return max(row.at, beat.at) if beat else row.at


def read_overviews(bridges: Iterable[BridgeDefinition]) -> Conversation[dict[str, Overview]]:
    """Return the status of bridges by name, in one round trip for any number of bridges, and some more to count unread
    events. An error with one bridge becomes its `problem`.
    """
    known = list(bridges)
    if not known:
        return {}
    asked = [
        participants.read_time(),
        participants.read_heartbeats(),
        *(command for bridge in known for command in _commands_for(bridge)),
    ]
    now_ms, beats, *replies = yield from ask(asked)
    found = {
        bridge.name: _Replies(bridge, beats, *replies[place : place + 5])
        for bridge, place in zip(known, range(0, len(replies), 5), strict=True)
    }
    groups = {(one.bridge.stream, one.bridge.group): one.group for one in found.values() if one.group}
    most = MOST_LAG_IN_LISTS if len(groups) > _LONG else MOST_LAG
    lags = yield from lags_of({name: group.last_delivered_id for name, group in groups.items()}, most=most)
    return {name: one.overview(now_ms, lags) for name, one in found.items()}


def read_states(bridges: Iterable[BridgeDefinition]) -> Conversation[dict[str, Overview]]:
    """Return the state of bridges by name, without any counts: one command for each bridge, in one round trip.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    known = list(bridges)
    reports = [participants.read_reports(bridge.stream, bridge.group) for bridge in known]
    now_ms, beats, *replies = yield from ask([participants.read_time(), participants.read_heartbeats(), *reports])
    found = {}
    for bridge, reply in zip(known, replies, strict=True):
        said: Mapping[str, Report] = {} if isinstance(reply, ReplyError) else reply
        heard = max((_last_report_ms(name, row, beats) for name, row in said.items()), default=0)
        statuses = fresh_statuses(said, beats, now_ms)
        found[bridge.name] = Overview(bridge=bridge, statuses=statuses, last_heard_ms=heard)
    return found


def _commands_for(bridge: BridgeDefinition) -> Sequence[Any]:
    stream, group = bridge.stream, bridge.group
    return (
        participants.read_reports(stream, group),
        stream_commands.hgetall(keyspace.counters(stream, group)),
        stream_commands.xinfo_groups(stream),
        stream_commands.zcard(keyspace.waiting(stream, group)),
        dead_letter_commands.count(stream, group),
    )


class _Replies:
    """The replies of Redis about one bridge."""

    def __init__(
        self, bridge: BridgeDefinition, beats: Any, said: Any, counters: Any, groups: Any, *sizes: Any
    ) -> None:
        self.bridge = bridge
        self._beats = beats
        # An error (another program's key in place of the reports) is ignored.
        self._said: Mapping[str, Report] = {} if isinstance(said, ReplyError) else said
        self._counters: Mapping[str, bytes] = {} if isinstance(counters, ReplyError) else counters
        self._waiting, self._dead = (0 if isinstance(size, ReplyError) else size for size in sizes)
        self._problem: RedisFailure | None = None
        try:
            rows: list[Group] = answer(groups, bridge.stream, absent=[])
        except RedisFailure as failure:
            rows, self._problem = [], failure
        self.group = next((row for row in rows if row.name == bridge.group), None)

    def overview(self, now_ms: int, lags: Mapping[GroupName, Lag]) -> Overview:
        behind = lags.get((self.bridge.stream, self.bridge.group))
        return Overview(
            bridge=self.bridge,
            statuses=fresh_statuses(self._said, self._beats, now_ms),
            counters={name: number(self._counters.get(name)) for name in COUNTERS},
            pending=self.group.pending if self.group else 0,
            waiting=self._waiting,
            dead=self._dead,
            lag=behind,
            lag_seconds=behind.seconds(now_ms) if behind else 0.0,
            last_done_ms=number(self._counters.get("last_done")),
            problem=self._problem,
        )
