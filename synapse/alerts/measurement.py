"""The value of each condition now, for everything that has one.

Most come from the sampled series. The others are asked of Redis every quarter of a minute: the reports of bridges,
events in flight, the latest event of streams that a rule wants some of, and the state of the server.
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
# A key that expired so long ago is no longer told of. Seconds.
_FORGOTTEN = 7 * _DAY
# Measurements: each a subject, its value, and further details.
Measured = Iterator[tuple[Subject, float, str]]
_GroupName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers of Redis that are no series.

    Attributes:
        statuses: of the consumers of each bridge that is enabled, by stream and group.
        in_flight_since: when the oldest event in flight of groups was added, in seconds since 1970; None while the
            sampler is away, which tells what groups have some.
        latest: when the latest event of streams was added, in seconds since 1970; 0: there was none.
        memory: the share of its memory that the server uses, in percent; None where it does not tell.
        findings: faults of the server, a sentence each; None where it does not tell.
    """

    statuses: Mapping[_GroupName, Mapping[str, Status]] = field(default_factory=dict)
    in_flight_since: Mapping[_GroupName, float] | None = None
    latest: Mapping[str, float] = field(default_factory=dict)
    memory: float | None = None
    findings: list[str] | None = None


def ask_redis(
    definitions: Definitions, series: RecentSeries | None, conditions: Collection[str]
) -> Conversation[Answers]:
    """Ask Redis for the values that are no series, in one round trip.

    Args:
        definitions: what is watched.
        series: the sampled series, which tell what groups have events in flight; None when the sampler is away.
        conditions: those that a rule is for.

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
    return Answers(
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
    """All that is known at one moment.

    Attributes:
        now: in seconds since 1970.
        series: the sampled series, None when the sampler is away.
        answers: what is no series, None when it was not asked for at this moment.
        after_gap: whether nothing was evaluated for long before, or the clock was set.
    """

    now: float
    definitions: Definitions
    series: RecentSeries | None
    answers: Answers | None
    after_gap: bool = False

    def measure(self, condition: str) -> Measured | None:
        """Return the values of a condition, None when they are not known now."""
        return _MEASURES[condition](self)

    def groups(self, *, of_bridges: bool = False) -> Iterator[tuple[Subject, Recent]]:
        """Yield the watched groups that are there, with their series."""
        definitions = self.definitions
        for (stream, name), recent in self.series.groups.items() if self.series else ():
            if recent.gauges and stream in definitions.streams:
                subject = definitions.group(stream, name)
                if subject.of or not of_bridges:
                    yield subject, recent

    def streams(self) -> Iterator[tuple[Subject, Recent]]:
        """Yield the watched streams that are there, with their series."""
        for name, recent in self.series.streams.items() if self.series else ():
            if name in self.definitions.streams:
                yield Subject("stream", name), recent


def _of_series(measure: Callable[[Moment], Measured]) -> Callable[[Moment], Measured | None]:
    return lambda moment: None if moment.series is None else measure(moment)


def _of_answers(measure: Callable[[Moment, Answers], Measured]) -> Callable[[Moment], Measured | None]:
    return lambda moment: None if moment.answers is None else measure(moment, moment.answers)


def _gauge(name: str) -> Callable[[Moment], Measured]:
    def measure(moment: Moment) -> Measured:
        return ((subject, value, "") for subject, each in moment.groups() if (value := each.gauges.get(name)))

    return measure


def _drain(moment: Moment) -> Measured:
    for subject, each in moment.groups():
        if unread := each.gauges.get("lag_events"):
            done = each.total("acknowledged", int(moment.now))
            yield subject, min(LONGEST, unread * WINDOW / done) if done else LONGEST, f"{unread:,.0f} of them"


def _dead_rate(moment: Moment) -> Measured:
    for subject, each in moment.groups():
        if died := each.total("became_dead", int(moment.now)):
            yield subject, died * 60 / WINDOW, each.commonest("failures")


def _lost(moment: Moment) -> Measured:
    return ((subject, lost, "") for subject, each in moment.groups() if (lost := each.total("lost", int(moment.now))))


def _failing(moment: Moment) -> Measured:
    for subject, each in moment.groups(of_bridges=True):
        if failed := each.total("failed", int(moment.now)):
            attempts = each.total("attempts", int(moment.now))
            if attempts >= LEAST_COUNTED:
                yield subject, 100 * failed / attempts, each.commonest("failures")


def _refused(moment: Moment) -> Measured:
    for subject, each in moment.streams():
        if refused := each.total("refused", int(moment.now)):
            all_ = refused + each.total("published", int(moment.now))
            if all_ >= LEAST_COUNTED:
                yield subject, 100 * refused / all_, each.commonest("refused")


def _full(moment: Moment) -> Measured:
    for subject, each in moment.streams():
        if length := each.gauges.get("length"):
            most = moment.definitions.streams[subject.stream].hard_length
            yield subject, 100 * length / most, f"{length:,.0f} of {most:,}"


def _unacknowledged(moment: Moment) -> Measured | None:
    if moment.answers is None or (found := moment.answers.in_flight_since) is None:
        return None
    return ((moment.definitions.group(*place), moment.now - since, "") for place, since in found.items())


def _no_traffic(moment: Moment, answers: Answers) -> Measured:
    for name, at in answers.latest.items():
        yield Subject("stream", name), min(LONGEST, moment.now - at), "" if at else "it has none"


def _down(moment: Moment, answers: Answers) -> Measured:
    for place, statuses in answers.statuses.items():
        worst = worst_of(statuses)
        if worst is None:
            yield moment.definitions.group(*place), 1, "no process runs it"
        elif worst.state == "failed":
            yield moment.definitions.group(*place), 1, worst.reason


def _disabled(moment: Moment) -> Measured:
    for place, bridge in moment.definitions.watched_bridges.items():
        if not bridge.enabled and (reason := moment.definitions.disabled.get(bridge.name)):
            # It may quote the receiver, and a receiver the event.
            yield moment.definitions.group(*place), 1, short_error(reason)


def _memory(moment: Moment) -> Measured | None:
    if moment.answers is None or moment.answers.memory is None:
        return None
    return iter([(Subject("redis"), moment.answers.memory, "")])


def _findings(moment: Moment) -> Measured | None:
    if moment.answers is None or moment.answers.findings is None:
        return None
    found = moment.answers.findings
    return iter([(Subject("redis"), len(found), found[0])] if found else [])


def _expiring_keys(moment: Moment) -> Measured:
    longest: dict[str, float] = {}
    expiring: list[tuple[float, KeyDefinition]] = []
    for key in moment.definitions.catalog.keys_by_id.values():
        expires = float("inf") if key.expires is None else key.expires
        longest[key.service] = max(longest.get(key.service, 0), expires)
        if key.expires is not None and key.expires > moment.now - _FORGOTTEN:
            expiring.append((key.expires, key))
    for expires, key in expiring:
        # While a key is rotated, its service has one that is good for longer.
        if expires == longest[key.service]:
            when = datetime.fromtimestamp(expires, UTC)
            yield (
                Subject("key", name=key.id, of=key.service),
                (expires - moment.now) / _DAY,
                f"on {when:%Y-%m-%d at %H:%M} UTC",
            )


_MEASURES: Mapping[str, Callable[[Moment], Measured | None]] = {
    rules.LAG.name: _of_series(_gauge("lag_seconds")),
    rules.DRAIN.name: _of_series(_drain),
    rules.DEAD.name: _of_series(_gauge("dead")),
    rules.DEAD_RATE.name: _of_series(_dead_rate),
    rules.UNACKNOWLEDGED.name: _unacknowledged,
    rules.NO_TRAFFIC.name: _of_answers(_no_traffic),
    rules.REFUSED.name: _of_series(_refused),
    rules.DOWN.name: _of_answers(_down),
    rules.DISABLED.name: _disabled,
    rules.FAILING.name: _of_series(_failing),
    rules.LOST.name: _of_series(_lost),
    rules.FULL.name: _of_series(_full),
    rules.MEMORY.name: _memory,
    rules.PERSISTENCE.name: _findings,
    rules.KEY_EXPIRES.name: _expiring_keys,
}
