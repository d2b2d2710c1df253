"""Measures each condition, for each thing that it applies to.

Most values come from the sampled series. Others are read from Redis every 15 seconds: the reports of bridges, the
oldest events in flight, the latest events of streams that a rule expects traffic of, and the state of the server.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from synapse.alerts import rules
from synapse.alerts.definitions import Definitions
from synapse.alerts.recent import Recent, RecentSeries
from synapse.alerts.rules import LEAST_COUNTED, LONGEST, WINDOW
from synapse.alerts.subject import Subject
from synapse.catalog.stream_definitions import KeyDefinition
from synapse.dead_letters import short_error
from synapse.delivery.status import Status, fresh_statuses, worst_of
from synapse.redis import Command, Conversation, ReplyError, ask
from synapse.redis.commands import alerts as commands
from synapse.redis.commands import participants
from synapse.redis.commands import server as server_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.server_checks import memory_share, warnings_of
from synapse.wire.ids import parse

_DAY = 86_400
# Keys that expired longer ago (seconds) are not reported.
_FORGOTTEN = 7 * _DAY
# Measurements: each a subject, its value, and details for people.
Measured = Iterator[tuple[Subject, float, str]]
_GroupName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisValues:
    """Values that are not sampled, read from Redis.

    Attributes:
        statuses: the status of each consumer of each enabled bridge, by stream and group.
        in_flight_since: when the oldest event in flight of groups was added, in seconds since 1970; None while the
            sampler is down, which tells the groups that have such events.
        latest: when the latest event of each stream was added, in seconds since 1970; 0: the stream is empty.
        memory: the share of its memory that the server uses, in percent; None when the server does not report it.
        findings: faults of the server's configuration, one sentence each; None when the server does not answer.
    """

    statuses: Mapping[_GroupName, Mapping[str, Status]] = field(default_factory=dict)
    in_flight_since: Mapping[_GroupName, float] | None = None
    latest: Mapping[str, float] = field(default_factory=dict)
    memory: float | None = None
    findings: list[str] | None = None


def ask_redis(
    definitions: Definitions, series: RecentSeries | None, conditions: Collection[str]
) -> Conversation[RedisValues]:
    """Read the values that are not sampled from Redis, in one round trip.

    Args:
        definitions: the rules and the watched things.
        series: the sampled series, which tell the groups that have events in flight; None when the sampler is down.
        conditions: the conditions that enabled rules have.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    bridges = [
        place for place, each in definitions.watched_bridges.items() if each.enabled and rules.DOWN.name in conditions
    ]
    groups = [
        place
        for place, each in (series.groups if series else {}).items()
        if each.gauges.get("in_flight") and rules.UNACKNOWLEDGED.name in conditions and place[0] in definitions.streams
    ]
    silent = [rule for rule in definitions.rules if rule.enabled and rule.condition == rules.NO_TRAFFIC.name]
    streams = [name for name in definitions.streams if any(rule.is_for((name,)) for rule in silent)]
    asked: list[Command] = [
        participants.read_time(),
        server_commands.info(),
        server_commands.config_get("appendfsync"),
        participants.read_heartbeats(),
        *(participants.read_reports(*place) for place in bridges),
        *(commands.oldest_in_flight(*place) for place in groups),
        *(stream_commands.xrevrange(name, "+", "-", 1) for name in streams),
    ]
    now_ms, info, fsync, beats, *replies = yield from ask(asked)
    reports, rest = replies[: len(bridges)], replies[len(bridges) :]
    oldest, latest = rest[: len(groups)], rest[len(groups) :]
    return RedisValues(
        statuses={
            place: fresh_statuses({} if isinstance(said, ReplyError) else said, beats, now_ms)
            for place, said in zip(bridges, reports, strict=True)
        },
        in_flight_since=None
        if series is None
        else {place: parse(id_).ms / 1000 for place, id_ in zip(groups, oldest, strict=True) if isinstance(id_, str)},
        latest={
            name: parse(entries[0].id).ms / 1000 if entries else 0.0
            for name, entries in zip(streams, latest, strict=True)
            if not isinstance(entries, ReplyError)
        },
        memory=None if isinstance(info, ReplyError) else memory_share(info),
        findings=None if isinstance(info, ReplyError) else warnings_of(info, fsync),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """All readings at one moment.

    Attributes:
        now: in seconds since 1970.
        series: the sampled series, None when the sampler is down.
        answers: the values that are not sampled, None when they were not read at this moment.
        after_gap: whether more than a minute passed since the last evaluation, or the clock was set back.
    """

    now: float
    definitions: Definitions
    series: RecentSeries | None
    answers: RedisValues | None
    after_gap: bool = False

    def measure(self, condition: str) -> Measured | None:
        """Return the values of a condition, None when they are not known now."""
        return _MEASURES[condition](self)

    def groups(self, *, of_bridges: bool = False) -> Iterator[tuple[Subject, Recent]]:
        """Yield the watched groups that exist, with their series."""
        definitions = self.definitions
        for (stream, name), recent in self.series.groups.items() if self.series else ():
            if recent.gauges and stream in definitions.streams:
                subject = definitions.group(stream, name)
                if subject.of or not of_bridges:
                    yield subject, recent

    def streams(self) -> Iterator[tuple[Subject, Recent]]:
        """Yield the watched streams that exist, with their series."""
        for name, recent in self.series.streams.items() if self.series else ():
            if name in self.definitions.streams:
                yield Subject("stream", name), recent


def _from_series(measure: Callable[[Moment], Measured]) -> Callable[[Moment], Measured | None]:
    return lambda moment: None if moment.series is None else measure(moment)


def _from_redis(measure: Callable[[Moment, RedisValues], Measured]) -> Callable[[Moment], Measured | None]:
    return lambda moment: None if moment.answers is None else measure(moment, moment.answers)


def _gauge_of(name: str) -> Callable[[Moment], Measured]:
    def measure(moment: Moment) -> Measured:
        return ((subject, value, "") for subject, each in moment.groups() if (value := each.gauges.get(name)))

    return measure


def _measure_drain(moment: Moment) -> Measured:
    for subject, each in moment.groups():
        if unread := each.gauges.get("lag_events"):
            done = each.total("acknowledged", int(moment.now))
            yield subject, min(LONGEST, unread * WINDOW / done) if done else LONGEST, f"{unread:,.0f} of them"


def _measure_dead_rate(moment: Moment) -> Measured:
    for subject, each in moment.groups():
        if died := each.total("became_dead", int(moment.now)):
            yield subject, died * 60 / WINDOW, each.most_frequent_label("failures")


def _measure_lost(moment: Moment) -> Measured:
    return ((subject, lost, "") for subject, each in moment.groups() if (lost := each.total("lost", int(moment.now))))


def _measure_failing(moment: Moment) -> Measured:
    for subject, each in moment.groups(of_bridges=True):
        if failed := each.total("failed", int(moment.now)):
            attempts = each.total("attempts", int(moment.now))
            if attempts >= LEAST_COUNTED:
                yield subject, 100 * failed / attempts, each.most_frequent_label("failures")


def _measure_refused(moment: Moment) -> Measured:
    for subject, each in moment.streams():
        if refused := each.total("refused", int(moment.now)):
            all_ = refused + each.total("published", int(moment.now))
            if all_ >= LEAST_COUNTED:
                yield subject, 100 * refused / all_, each.most_frequent_label("refused")


def _measure_fullness(moment: Moment) -> Measured:
    for subject, each in moment.streams():
        if length := each.gauges.get("length"):
            most = moment.definitions.streams[subject.stream].hard_length
            yield subject, 100 * length / most, f"{length:,.0f} of {most:,}"


def _measure_unacknowledged(moment: Moment) -> Measured | None:
    if moment.answers is None or (found := moment.answers.in_flight_since) is None:
        return None
    return ((moment.definitions.group(*place), moment.now - since, "") for place, since in found.items())


def _measure_silence(moment: Moment, answers: RedisValues) -> Measured:
    for name, at in answers.latest.items():
        yield Subject("stream", name), min(LONGEST, moment.now - at), "" if at else "it has none"


def _find_down_bridges(moment: Moment, answers: RedisValues) -> Measured:
    for place, statuses in answers.statuses.items():
        worst = worst_of(statuses)
        if worst is None:
            yield moment.definitions.group(*place), 1, "no process runs it"
        elif worst.state == "failed":
            yield moment.definitions.group(*place), 1, worst.reason


def _find_disabled_bridges(moment: Moment) -> Measured:
    for place, bridge in moment.definitions.watched_bridges.items():
        if not bridge.enabled and (reason := moment.definitions.disabled.get(bridge.name)):
            # The reason may quote the receiver, and the receiver the event.
            yield moment.definitions.group(*place), 1, short_error(reason)


def _measure_memory(moment: Moment) -> Measured | None:
    if moment.answers is None or moment.answers.memory is None:
        return None
    return iter([(Subject("redis"), moment.answers.memory, "")])


def _count_findings(moment: Moment) -> Measured | None:
    if moment.answers is None or moment.answers.findings is None:
        return None
    found = moment.answers.findings
    return iter([(Subject("redis"), len(found), found[0])] if found else [])


def _find_expiring_keys(moment: Moment) -> Measured:
    longest: dict[str, float] = {}
    expiring: list[tuple[float, KeyDefinition]] = []
    for key in moment.definitions.catalog.keys_by_id.values():
        expires = float("inf") if key.expires is None else key.expires
        longest[key.service] = max(longest.get(key.service, 0), expires)
        if key.expires is not None and key.expires > moment.now - _FORGOTTEN:
            expiring.append((key.expires, key))
    for expires, key in expiring:
        # While a key is being rotated, its service has another that is valid for longer.
        if expires == longest[key.service]:
            when = datetime.fromtimestamp(expires, UTC)
            yield (
                Subject("key", name=key.id, of=key.service),
                (expires - moment.now) / _DAY,
                f"on {when:%Y-%m-%d at %H:%M} UTC",
            )


_MEASURES: Mapping[str, Callable[[Moment], Measured | None]] = {
    rules.LAG.name: _from_series(_gauge_of("lag_seconds")),
    rules.DRAIN.name: _from_series(_measure_drain),
    rules.DEAD.name: _from_series(_gauge_of("dead")),
    rules.DEAD_RATE.name: _from_series(_measure_dead_rate),
    rules.UNACKNOWLEDGED.name: _measure_unacknowledged,
    rules.NO_TRAFFIC.name: _from_redis(_measure_silence),
    rules.REFUSED.name: _from_series(_measure_refused),
    rules.DOWN.name: _from_redis(_find_down_bridges),
    rules.DISABLED.name: _find_disabled_bridges,
    rules.FAILING.name: _from_series(_measure_failing),
    rules.LOST.name: _from_series(_measure_lost),
    rules.FULL.name: _from_series(_measure_fullness),
    rules.MEMORY.name: _measure_memory,
    rules.PERSISTENCE.name: _count_findings,
    rules.KEY_EXPIRES.name: _find_expiring_keys,
}
