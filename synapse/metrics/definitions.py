"""Every metric. `METRICS` is the list, and its texts are the documentation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, TypeVar, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from synapse.errors.delivery import FailureClass
from synapse.errors.streams import ContractViolated, StreamFull
from synapse.inspection.lag import GroupName
from synapse.inspection.stream_stats import StreamStatistics
from synapse.metrics.collection import MOST_LAG, Reading
from synapse.runtime.histogram import BOUNDS, NAMES, SUM
from synapse.shares import Shares
from synapse.statistics import series
from synapse.statistics.series import Series
from synapse.wire.ids import parse

# Reasons that are shown from the start, with 0.
_USUAL_REASONS = (ContractViolated.slug, StreamFull.slug)
# The label values and the value of each sample.
Samples = Iterator[tuple[tuple[str, ...], float]]
Kind = Literal["counter", "gauge"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One metric: its full name, its meaning, and the source of its samples."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[Reading], Samples]

    def family(self, reading: Reading) -> Metric:
        """Return the metric with its samples, in the form of prometheus-client."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=self.labels)
        for labels, value in self.samples(reading):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramDefinition:
    """One metric whose samples are durations. `what` is the measured step, a name that `StreamCounters.observe`
    takes.
    """

    name: str
    labels: tuple[str, ...]
    meaning: str
    what: str
    kind: Literal["histogram"] = "histogram"

    def family(self, reading: Reading) -> Metric:
        """Return the metric with its samples, in the form of prometheus-client."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for (what, *names), counts in reading.durations.items():
            if what == self.what:
                sizes = accumulate(counts.get(name, 0) for name in NAMES)
                buckets = list(zip((*map(floatToGoString, BOUNDS), "+Inf"), sizes, strict=True))
                family.add_metric(names[: len(self.labels)], buckets, sum_value=counts.get(SUM, 0) / 1_000_000)
        return family


def _define_histogram(what: str) -> HistogramDefinition:
    each = series.DURATIONS[what]
    labels = ("stream", "group") if each.scope == "group" else ("stream",)
    return HistogramDefinition(name=each.metric, labels=labels, meaning=each.meaning, what=what)


def _definer_for(
    things: Callable[[Reading], Iterable[tuple[GroupName | tuple[str], T]]], *labels: str
) -> Callable[..., Definition]:
    """Return a function that defines a metric by its value for each thing. A thing whose value is None has no
    sample.
    """

    def define(name: str, meaning: str, value: Callable[[T], float | None], kind: Kind = "gauge") -> Definition:
        def samples(reading: Reading) -> Samples:
            return ((key, number) for key, thing in things(reading) if (number := value(thing)) is not None)

        return Definition(name=name, kind=kind, labels=labels, meaning=meaning, samples=samples)

    return define


_of_stream = _definer_for(lambda reading: (((name,), found) for name, found in reading.streams.items()), "stream")
_of_watched_stream = _definer_for(
    lambda reading: (((name,), count) for name, count in reading.watchers.items()), "stream"
)
_of_group = _definer_for(lambda reading: reading.groups.items(), "stream", "group")
_of_resource = _definer_for(
    lambda reading: (((shares.resource.name,), shares) for shares in reading.shares), "resource"
)


def _refused_samples(reading: Reading) -> Samples:
    for stream, found in reading.streams.items():
        # The sample 0 makes the first refusal a rise. Refusals from before reasons were counted have the reason
        # “other”.
        reasons = dict.fromkeys(_USUAL_REASONS, 0) | dict(found.refused_by_reason)
        reasons["other"] = max(0, found.counters["refused"] - sum(found.refused_by_reason.values()))
        yield from (((stream, reason), count) for reason, count in reasons.items())


def _failure_samples(reading: Reading) -> Samples:
    prefix = series.FAILURES.source[0]
    for (stream, name), group in reading.groups.items():
        for what, count in group.counters.items():
            if what.removeprefix(prefix) in get_args(FailureClass) and what.startswith(prefix):
                yield (stream, name, what.removeprefix(prefix)), count


def _in_use(shares: Shares, attribute: str) -> int | None:
    """Return a count of this process, or None for a resource that is counted in the database."""
    return getattr(shares, attribute) if shares.resource.is_of_process else None


def _define_group_counter(name: str, what: str, meaning: str) -> Definition:
    return _of_group(name, meaning, lambda group: group.counters.get(what, 0), "counter")


def _define_gauge(each: Series, value: Callable[[Any], float | None]) -> Definition:
    return (_of_group if each.scope == "group" else _of_stream)(each.metric, each.meaning, value)


def _define_counter(each: Series) -> Definition:
    (what,) = each.source
    if each.scope == "group":
        return _define_group_counter(each.metric, what, each.meaning)
    return _of_stream(each.metric, each.meaning, lambda found: found.counters[what], "counter")


def _last_event(found: StreamStatistics) -> float | None:
    ms = parse(found.last_generated_id).ms
    return ms / 1000 if ms else None


METRICS: tuple[Definition | HistogramDefinition, ...] = (
    _define_counter(series.PUBLISHED),
    Definition(
        name="synapse_events_refused_total",
        kind="counter",
        labels=("stream", "reason"),
        meaning="Events that were not stored, by the end of the problem's type, such as `stream-full`.",
        samples=_refused_samples,
    ),
    _define_counter(series.WARNED),
    _define_counter(series.UNREGISTERED),
    _define_counter(series.REPLAYED),
    _of_stream(
        "synapse_stream_readable",
        "1 when Redis holds a stream (or nothing yet) under the stream's name, 0 when it holds something else.",
        lambda found: 0 if found.problem else 1,
    ),
    _define_gauge(series.LENGTH, lambda found: found.length),
    Definition(
        name="synapse_stream_limit_events",
        kind="gauge",
        labels=("stream",),
        meaning="Events that the stream holds when it is full: it refuses new ones then, or drops the oldest.",
        samples=lambda reading: (((stream,), limit) for stream, limit in reading.limits.items()),
    ),
    Definition(
        name="synapse_stream_unindexed_events",
        kind="gauge",
        labels=("stream",),
        meaning="Events that the index by which events are found does not have yet. Searches read 10,000 of them.",
        samples=lambda reading: (((stream,), count) for stream, count in reading.unindexed.items()),
    ),
    _of_stream("synapse_stream_groups", "Consumer groups of the stream.", lambda found: found.groups),
    _of_stream(
        "synapse_stream_last_event_timestamp_seconds",
        "Time when the stream's latest event was stored, in seconds since 1970. Missing before the first event.",
        _last_event,
    ),
    _of_watched_stream(
        "synapse_live_watchers", "Connections that watch the stream live now.", lambda watchers: watchers
    ),
    _of_stream(
        "synapse_live_dropped_total",
        "Connections that watched the stream live and were dropped because they read too slowly.",
        lambda found: found.live_dropped,
        "counter",
    ),
    _of_stream(
        "synapse_spans_dropped_total",
        "Spans about the stream's events that no collector got: too many waited, or it did not take them.",
        lambda found: found.spans_dropped,
        "counter",
    ),
    _of_group("synapse_group_consumers", "Consumers that the group knows.", lambda group: group.consumers),
    _of_group(
        "synapse_group_last_poll_timestamp_seconds",
        "Time when a consumer of the group last asked for events, in seconds since 1970. Missing without a consumer.",
        lambda group: group.last_poll,
    ),
    _define_gauge(series.IN_FLIGHT, lambda group: group.pending),
    _of_group(
        "synapse_group_lag_events",
        f"Events that the group has not read yet, counted to {MOST_LAG}: this value means that many or more.",
        lambda group: group.lag_events,
    ),
    _define_gauge(series.LAG_SECONDS, lambda group: group.lag_seconds),
    _define_gauge(series.SCHEDULED, lambda group: group.waiting),
    _of_group(
        "synapse_group_overdue_seconds",
        "For how long the first scheduled event has been due, 0 when none is due.",
        lambda group: group.overdue,
    ),
    _define_gauge(series.BLOCKED, lambda group: group.counters.get("parked", 0)),
    _define_gauge(series.DEAD, lambda group: group.dead),
    _define_counter(series.ACKNOWLEDGED),
    _define_counter(series.FILTERED),
    _define_counter(series.RETRIED),
    _define_counter(series.BURIED),
    Definition(
        name=series.FAILURES.metric,
        kind="counter",
        labels=("stream", "group", "class"),
        meaning=series.FAILURES.meaning,
        samples=_failure_samples,
    ),
    _define_counter(series.REDRIVEN),
    _define_group_counter("synapse_group_discarded_total", "discarded", "Dead letters that were discarded."),
    _define_group_counter(
        "synapse_group_reaped_total",
        "reaped",
        "Pending events that were reclaimed from a consumer that had ended or was silent for too long.",
    ),
    _define_group_counter(
        "synapse_group_lease_expiries_total",
        "expired",
        "Repeated deliveries whose lease ended before their outcome was reported.",
    ),
    _define_group_counter(
        "synapse_group_lost_total",
        "lost_trimmed",
        "Events that were trimmed or deleted before the group acknowledged them.",
    ),
    _define_group_counter(
        "synapse_group_lost_silent_total",
        "lost_silent",
        "Events that were trimmed after the group had been silent for so long that it no longer held back trimming.",
    ),
    _define_group_counter(
        "synapse_group_recreated_total",
        "groups_recreated",
        "How often the group was lost from Redis while consumers read as it, and was created again.",
    ),
    _of_resource(
        "synapse_share_total", "How much of the resource this process has.", lambda shares: shares.limits.total
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
        "How much of the resource the caller with the largest use has now.",
        lambda shares: _in_use(shares, "largest"),
    ),
    _of_resource(
        "synapse_share_refused_total",
        "Requests for the resource that were refused because the caller's share, or the whole, was used up.",
        lambda shares: shares.refused,
        "counter",
    ),
    _of_resource(
        "synapse_share_reclaimed_total",
        "How often an unused part of the resource was taken from the caller with the most, for another caller.",
        lambda shares: shares.reclaimed,
        "counter",
    ),
    Definition(
        name="synapse_alerts",
        kind="gauge",
        labels=("rule", "state"),
        meaning="Alerts of a rule that are pending or firing. Missing where there is none.",
        samples=lambda reading: (((rule, phase), count) for (rule, phase), count in reading.alerts.items()),
    ),
    Definition(
        name="synapse_alerts_evaluated_timestamp_seconds",
        kind="gauge",
        labels=(),
        meaning="When the rules of alerts were last evaluated, in seconds since 1970. Missing before the first time.",
        samples=lambda reading: (((), at) for at in [reading.alerts_evaluated_at] if at is not None),
    ),
    _define_histogram("publish"),
    _define_histogram("attempt"),
    _define_histogram("delivered"),
)
