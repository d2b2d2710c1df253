"""Every metric. `METRICS` is the list, and its texts are the documentation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from synapse.errors.streams import ContractViolated, StreamFull
from synapse.inspection.lag import Name
from synapse.inspection.stream_stats import Figures
from synapse.metrics.collection import MOST_LAG, GroupReading, Reading
from synapse.shares import Shares
from synapse.wire.ids import parse

# Reasons that are shown from the start, with 0.
_USUAL_REASONS = (ContractViolated.slug, StreamFull.slug)
# Label values and the value, of each sample.
Samples = Iterator[tuple[Name | tuple[str], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One metric: its full name, what it means, and where its samples come from."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[Reading], Samples]

    def family(self, reading: Reading) -> Metric:
        """Return the metric with its samples, as prometheus-client writes them."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=self.labels)
        for labels, value in self.samples(reading):
            family.add_metric(labels, value)
        return family


def _counted(name: str, what: str, meaning: str) -> Definition:
    def samples(reading: Reading) -> Samples:
        return (((stream,), found.counters[what]) for stream, found in reading.streams.items())

    return Definition(name=name, kind="counter", labels=("stream",), meaning=meaning, samples=samples)


def _of_stream(name: str, meaning: str, value: Callable[[Figures], float | None]) -> Definition:
    def samples(reading: Reading) -> Samples:
        values = ((stream, value(found)) for stream, found in reading.streams.items())
        return (((stream,), number) for stream, number in values if number is not None)

    return Definition(name=name, kind="gauge", labels=("stream",), meaning=meaning, samples=samples)


def _of_group(name: str, meaning: str, value: Callable[[GroupReading], float | None]) -> Definition:
    def samples(reading: Reading) -> Samples:
        values = ((key, value(group)) for key, group in reading.groups.items())
        return ((key, number) for key, number in values if number is not None)

    return Definition(name=name, kind="gauge", labels=("stream", "group"), meaning=meaning, samples=samples)


def _watchers(reading: Reading) -> Samples:
    return (((stream,), count) for stream, count in reading.watchers.items())


def _refused(reading: Reading) -> Samples:
    for stream, found in reading.streams.items():
        # With 0 the first refusal is a rise. What was counted before there were reasons has the reason “other”.
        reasons = dict.fromkeys(_USUAL_REASONS, 0) | dict(found.refused_by_reason)
        reasons["other"] = max(0, found.counters["refused"] - sum(found.refused_by_reason.values()))
        yield from (((stream, reason), count) for reason, count in reasons.items())


def _live_dropped(reading: Reading) -> Samples:
    return (((stream,), found.live_dropped) for stream, found in reading.streams.items())


def _of_resource(
    name: str, meaning: str, value: Callable[[Shares], int | None], kind: Literal["counter", "gauge"] = "gauge"
) -> Definition:
    def samples(reading: Reading) -> Samples:
        values = ((shares.resource.name, value(shares)) for shares in reading.shares)
        return (((name,), number) for name, number in values if number is not None)

    return Definition(name=name, kind=kind, labels=("resource",), meaning=meaning, samples=samples)


def _in_use(shares: Shares, attribute: str) -> int | None:
    """Return a count of the process; None for what is counted in the database."""
    return getattr(shares, attribute) if shares.resource.is_of_process else None


def _counted_of_group(name: str, what: str, meaning: str) -> Definition:
    def samples(reading: Reading) -> Samples:
        return ((key, group.counters.get(what, 0)) for key, group in reading.groups.items())

    return Definition(name=name, kind="counter", labels=("stream", "group"), meaning=meaning, samples=samples)


def _last_event(found: Figures) -> float | None:
    ms = parse(found.last_generated_id).ms
    return ms / 1000 if ms else None


METRICS = (
    _counted(
        "synapse_events_published_total",
        "published",
        "Events that were stored through Synapse. What other programs write straight to Redis is not in it.",
    ),
    Definition(
        name="synapse_events_refused_total",
        kind="counter",
        labels=("stream", "reason"),
        meaning="Events that were not stored, by the end of the problem's type, such as `stream-full`.",
        samples=_refused,
    ),
    _counted(
        "synapse_events_warned_total",
        "warned",
        "Published events that break their contract, on streams that only warn. They are in the published ones too.",
    ),
    _counted(
        "synapse_events_unregistered_total",
        "unregistered",
        "Published events of a type that their stream does not define. They are in the published ones too.",
    ),
    _counted(
        "synapse_events_duplicates_total",
        "duplicates",
        "Events that were sent again under the same key and are stored once. They are not in the published ones.",
    ),
    _of_stream(
        "synapse_stream_readable",
        "1 when Redis holds a stream (or nothing yet) under the stream's name, 0 when it holds something else.",
        lambda found: 0 if found.problem else 1,
    ),
    _of_stream("synapse_stream_events", "Events that the stream holds now.", lambda found: found.length),
    Definition(
        name="synapse_stream_limit_events",
        kind="gauge",
        labels=("stream",),
        meaning="Events that the stream holds when it is full: it refuses new ones then, or drops the oldest.",
        samples=lambda reading: (((stream,), limit) for stream, limit in reading.limits.items()),
    ),
    _of_stream("synapse_stream_groups", "Consumer groups of the stream.", lambda found: found.groups),
    _of_stream(
        "synapse_stream_last_event_timestamp_seconds",
        "When the stream's latest event was stored, in seconds since 1970. Missing until there is a first one.",
        _last_event,
    ),
    Definition(
        name="synapse_live_watchers",
        kind="gauge",
        labels=("stream",),
        meaning="Connections that watch the stream live now.",
        samples=_watchers,
    ),
    Definition(
        name="synapse_live_dropped_total",
        kind="counter",
        labels=("stream",),
        meaning="Connections that watched the stream live and were dropped because they read too slowly.",
        samples=_live_dropped,
    ),
    _of_group("synapse_group_consumers", "Consumers that the group knows.", lambda group: group.consumers),
    _of_group(
        "synapse_group_last_poll_timestamp_seconds",
        "When a consumer of the group last asked for events, in seconds since 1970. Missing while there is none.",
        lambda group: group.last_poll,
    ),
    _of_group(
        "synapse_group_pending_events",
        "Events that were delivered to the group and not settled yet.",
        lambda group: group.pending,
    ),
    _of_group(
        "synapse_group_lag_events",
        f"Events that the group has not read yet, counted to {MOST_LAG}: that value means so many or more.",
        lambda group: group.lag_events,
    ),
    _of_group(
        "synapse_group_lag_seconds",
        "Age of the oldest event that the group has not read yet, 0 when it has read all.",
        lambda group: group.lag_seconds,
    ),
    _of_group(
        "synapse_group_waiting_events",
        "Events that wait to be delivered to the group again, those that are being delivered again included.",
        lambda group: group.waiting,
    ),
    _of_group(
        "synapse_group_overdue_seconds",
        "For how long the first waiting event has been due, 0 when none is due yet.",
        lambda group: group.overdue,
    ),
    _of_group(
        "synapse_group_parked_events",
        "Events of an ordered group that were read and wait for another one of their key.",
        lambda group: group.counters.get("parked", 0),
    ),
    _of_group("synapse_group_dead_letters", "Dead letters that the group has now.", lambda group: group.dead),
    _counted_of_group("synapse_group_delivered_total", "done", "Events that were delivered to the group and settled."),
    _counted_of_group(
        "synapse_group_filtered_total", "filtered", "Events that were settled because the group's bridge wants others."
    ),
    _counted_of_group("synapse_group_retried_total", "retried", "Attempts that failed, and another one was to follow."),
    _counted_of_group("synapse_group_dead_total", "dead", "Events that became dead letters."),
    _counted_of_group("synapse_group_redriven_total", "replayed", "Dead letters that were sent out again."),
    _counted_of_group("synapse_group_discarded_total", "discarded", "Dead letters that somebody threw away."),
    _counted_of_group(
        "synapse_group_reaped_total",
        "reaped",
        "Pending events that were taken back from a consumer that was gone or silent for too long.",
    ),
    _counted_of_group(
        "synapse_group_lease_expiries_total",
        "expired",
        "Repeated deliveries of which nobody told the end before their lease was over.",
    ),
    _counted_of_group(
        "synapse_group_lost_total", "lost_trimmed", "Events that were trimmed or deleted before the group settled them."
    ),
    _counted_of_group(
        "synapse_group_lost_silent_total",
        "lost_silent",
        "Events that were trimmed while the group was silent for so long that it held nothing back.",
    ),
    _counted_of_group(
        "synapse_group_recreated_total",
        "groups_recreated",
        "How often the group was gone from Redis under a consumer, and was made again.",
    ),
    _of_resource(
        "synapse_share_total", "How much there is of the resource in this process.", lambda shares: shares.limits.total
    ),
    _of_resource(
        "synapse_share_per_caller",
        "How much of the resource one service or person may have.",
        lambda shares: shares.limits.per_caller,
    ),
    _of_resource(
        "synapse_share_per_address",
        "How much of the resource one address may have without a good key or session.",
        lambda shares: shares.limits.per_address,
    ),
    _of_resource(
        "synapse_share_anonymous",
        "How much of the resource all callers without a good key or session may have together.",
        lambda shares: shares.limits.anonymous,
    ),
    _of_resource(
        "synapse_share_used", "How much of the resource is in use now.", lambda shares: _in_use(shares, "used")
    ),
    _of_resource(
        "synapse_share_used_by_anonymous",
        "How much of the resource callers without a good key or session use now.",
        lambda shares: _in_use(shares, "anonymous"),
    ),
    _of_resource(
        "synapse_share_used_by_largest",
        "How much of the resource the caller uses now that uses the most.",
        lambda shares: _in_use(shares, "largest"),
    ),
    _of_resource(
        "synapse_share_refused_total",
        "Requests for the resource that were refused because the caller's share, or the whole, was used up.",
        lambda shares: shares.refused,
        kind="counter",
    ),
    _of_resource(
        "synapse_share_reclaimed_total",
        "How often something that lay unused was taken back from the caller with the most, for another one.",
        lambda shares: shares.reclaimed,
        kind="counter",
    ),
)
