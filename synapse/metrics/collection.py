"""The state of streams and groups in Redis at one moment, read in a fixed number of round trips."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse.alerts.state import count_states
from synapse.catalog.stream_definitions import Snapshot
from synapse.inspection.lag import GroupName, Lag, lags_of
from synapse.inspection.stream_stats import StreamStatistics, stats_of
from synapse.live.tail_registry import viewer_counts
from synapse.redis import Command, Conversation, ReplyError, answer, ask, keyspace
from synapse.redis.commands import alerts as alert_commands
from synapse.redis.commands.correlation import indexed_entries
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import Group, hgetall, lowest_score, xinfo_consumers, xinfo_groups, xlen, zcard
from synapse.shares import Shares

# The limit up to which a scrape counts lag: an alert on `lag_seconds` fires long before.
MOST_LAG = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReading:
    """The state of a group. `lag_seconds` is the lag at the moment of reading.

    `counters` are kept by the delivery scripts. `waiting` is the number of events scheduled for retry, `overdue` the
    seconds since the first of them was due. `dead` is the number of dead letters. `last_poll` is the time when one of
    its consumers last asked for events (seconds since 1970), None without consumers.
    """

    consumers: int
    pending: int
    lag_events: int
    lag_seconds: float
    counters: Mapping[str, int]
    waiting: int
    overdue: float
    dead: int
    last_poll: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state in Redis at one moment.

    `streams` and `watchers` are by stream, `groups` by the names of stream and group. `limits` are the lengths at which
    streams are full. `shares` are the counters of this process. `durations` has the number of samples in each bucket,
    by measured step, stream and group ("" for the stream itself). `unindexed` counts the events that are missing in the
    index of their stream, for streams with an index. `alerts` are counted by rule and state; `alerts_evaluated_at` is
    the time of their last evaluation (seconds since 1970).
    """

    streams: Mapping[str, StreamStatistics]
    limits: Mapping[str, int]
    groups: Mapping[GroupName, GroupReading]
    watchers: Mapping[str, int]
    shares: Sequence[Shares]
    durations: Mapping[tuple[str, str, str], Mapping[str, int]]
    unindexed: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    alerts_evaluated_at: float | None = None


def read_metrics(catalog: Snapshot, shares: Sequence[Shares]) -> Conversation[Reading]:
    """Read all measured values from Redis."""
    streams = yield from stats_of(sorted(catalog.streams))
    with_groups = [name for name, found in streams.items() if found.groups]
    replies = (yield from ask([xinfo_groups(name) for name in with_groups])) if with_groups else []
    groups: dict[GroupName, Group] = {
        (name, group.name): group
        for name, reply in zip(with_groups, replies, strict=True)
        for group in answer(reply, name, absent=[])
    }
    lags = yield from lags_of({name: group.last_delivered_id for name, group in groups.items()}, most=MOST_LAG)
    asked = [command for name in groups for command in _group_commands(*name)]
    found = (yield from ask(asked)) if asked else []
    now_ms = time.time() * 1000
    of_streams = [command(name) for command in (_durations_of, indexed_entries) for name in streams]
    lasted = (yield from ask(of_streams)) if streams else []
    states, evaluated = yield from ask([alert_commands.states(), alert_commands.last_evaluation()])
    return Reading(
        alerts=count_states({} if isinstance(states, ReplyError) else states),
        alerts_evaluated_at=None if isinstance(evaluated, ReplyError) else evaluated,
        durations=_parse_durations(dict(zip(streams, lasted, strict=False))),
        unindexed={
            name: _count_unindexed(streams[name], indexed)
            for name, indexed in zip(streams, lasted[len(streams) :], strict=True)
            if catalog.streams[name].correlation and isinstance(indexed, int) and indexed >= 0
        },
        streams=streams,
        limits={name: catalog.streams[name].hard_length for name in streams},
        shares=shares,
        watchers=(yield from viewer_counts(streams, now_ms=int(now_ms))),
        groups={
            name: _parse_group(group, lags[name], found[place : place + 5], now_ms)
            for (name, group), place in zip(groups.items(), range(0, len(found), 5), strict=True)
        },
    )


def _durations_of(stream: str) -> Command:
    return hgetall(keyspace.durations(stream))


def _count_unindexed(found: StreamStatistics, indexed: int) -> int:
    """Return the number of a stream's entries that are not indexed: all of them when there is no index."""
    return min(found.length, max(0, int(found.info["entries-added"]) - indexed)) if indexed else found.length


def _parse_durations(replies: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, int]]:
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for stream, reply in replies.items():
        for name, text in () if isinstance(reply, ReplyError) else reply.items():
            what, _, rest = name.partition(":")
            bucket, _, group = rest.partition(":")
            found.setdefault((what, stream, group), {})[bucket] = number(text)
    return found


def _group_commands(stream: str, group: str) -> tuple[Command, ...]:
    waiting = keyspace.waiting(stream, group)
    return (
        hgetall(keyspace.counters(stream, group)),
        zcard(waiting),
        lowest_score(waiting),
        xlen(keyspace.dead_letters(stream, group)),
        xinfo_consumers(stream, group),
    )


def _parse_group(group: Group, behind: Lag, found: Sequence[Any], now_ms: float) -> GroupReading:
    # A key of another type under one of these names counts as 0 and is no error.
    counters, waiting, due, dead, consumers = (None if isinstance(reply, ReplyError) else reply for reply in found)
    texts = (counters or {}).items()
    return GroupReading(
        consumers=group.consumers,
        pending=group.pending,
        lag_events=behind.events,
        lag_seconds=behind.seconds(now_ms),
        counters={what: int(text) for what, text in texts if text.isdigit() and len(text) < 19},
        waiting=waiting or 0,
        overdue=0.0 if due is None else round(max(0.0, now_ms - due) / 1000, 3),
        dead=dead or 0,
        last_poll=round((now_ms - min(one.idle for one in consumers)) / 1000, 3) if consumers else None,
    )
