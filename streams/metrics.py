"""What is measured, for Prometheus and for people: `METRICS` is the list, and its texts are the documentation.

Every value is read from Redis when it is asked for, so all processes answer the same. The cost does not grow with the
length of a stream: nothing is read through.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from core.http import Request, Response, json_response
from core.permission import demand_scope
from core.rights import Rights
from streams import audience, figures, lag
from streams.asking import answer, ask
from streams.broker import commands, keys
from streams.broker.command import Command, Conversation, ReplyError
from streams.broker.commands import Group
from streams.definitions import Snapshot
from streams.figures import Figures
from streams.ids import parse
from streams.inference import Inference
from streams.lag import Name

# Lag is counted no further for a scrape: by then an alert on the seconds has long gone off.
MOST_LAG = 1000
_VARY = {"Vary": "Accept"}
_JSON = re.compile(r"application/json(?:;|$)")
_TEXT = re.compile(r"text/plain(?:;|$)")
_VERSIONED_TEXT = re.compile(r"application/openmetrics-text(?:;|$)|text/plain;(?:.*;)?version=")
_STRANGE_VERSION = re.compile(r"version=(?![0-9]+(?:\.[0-9]+)*\s*(?:;|$))")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReading:
    """What was found out about a group; the lag's `seconds` are those at the moment of reading.

    `counters` are those that the scripts of delivery keep. `waiting` events come again, `overdue` is for how many
    seconds the first of them has been due. `dead` is how many dead letters there are. `last_poll` is when one of its
    consumers last asked for events (seconds since 1970), None while it has none.
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
    """What Redis said at one moment: streams and who watches them by name, groups by the names of stream
    and group."""

    streams: Mapping[str, Figures]
    groups: Mapping[Name, GroupReading]
    watchers: Mapping[str, int]


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


def _live_dropped(reading: Reading) -> Samples:
    return (((stream,), found.live_dropped) for stream, found in reading.streams.items())


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
    _counted(
        "synapse_events_refused_total",
        "refused",
        "Events that were not stored because something was wrong with them: unreadable, or against their contract.",
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
)


class Collector:
    """Hands a reading to prometheus-client (its interface for custom collectors)."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterable[Metric]:
        """Return every metric with its samples."""
        return [metric.family(self._reading) for metric in METRICS]


def metrics(request: Request, catalog: Snapshot, inference: Inference) -> Conversation[Response]:
    """Answer `GET /metrics`: in Prometheus' own format when the Accept header names it, else in JSON.

    Raises:
        Forbidden: when the caller may not see metrics.
        Unavailable: when Redis cannot be used.
    """
    demand_scope(request.principal, "metrics:read")
    accept = request.headers.get("accept", "")
    if wants_prometheus(accept):
        return _exposed((yield from _reading(catalog)), accept)
    return (yield from _as_json(catalog, inference, request.principal.rights))


def wants_prometheus(accept: str) -> bool:
    """Say whether an Accept header asks for Prometheus' format.

    Prometheus names the version of the text it wants. A bare text/plain counts only where JSON is not named: axios
    sends `application/json, text/plain, */*` with every request.
    """
    kinds = [re.sub(r"\s", "", kind).lower() for kind in accept.split(",")]
    if any(map(_VERSIONED_TEXT.match, kinds)):
        return True
    return any(map(_TEXT.match, kinds)) and not any(map(_JSON.match, kinds))


def _as_json(catalog: Snapshot, inference: Inference, rights: Rights) -> Conversation[Response]:
    found = yield from figures.of(sorted(catalog.streams))
    sample = yield from inference.metrics(catalog, now=time.time())
    shown = {
        name: {"name": name, **one.seen_by(rights, name).summary(catalog.streams[name])} for name, one in found.items()
    }
    return json_response({"total_streams": len(shown), "streams": shown, "inference_metrics": sample}, headers=_VARY)


def _exposed(reading: Reading, accept: str) -> Response:
    registry = CollectorRegistry()
    registry.register(Collector(reading))
    encode, content_type = choose_encoder(_understood(accept))
    return Response(body=encode(registry), content_type=content_type, headers=_VARY)


def _understood(accept: str) -> str:
    """Return the header without kinds whose version is no number: prometheus-client fails on them."""
    return ",".join(kind for kind in accept.split(",") if not _STRANGE_VERSION.search(kind))


def _reading(catalog: Snapshot) -> Conversation[Reading]:
    streams = yield from figures.of(sorted(catalog.streams))
    with_groups = [name for name, found in streams.items() if found.groups]
    replies = (yield from ask([commands.xinfo_groups(name) for name in with_groups])) if with_groups else []
    groups: dict[Name, Group] = {
        (name, group.name): group
        for name, reply in zip(with_groups, replies, strict=True)
        for group in answer(reply, name, absent=[])
    }
    lags = yield from lag.of({name: group.last_delivered_id for name, group in groups.items()}, most=MOST_LAG)
    asked = [command for name in groups for command in _asked(*name)]
    found = (yield from ask(asked)) if asked else []
    now_ms = time.time() * 1000
    return Reading(
        streams=streams,
        watchers=(yield from audience.sizes(streams, now_ms=int(now_ms))),
        groups={
            name: _group(group, lags[name], found[place : place + 5], now_ms)
            for (name, group), place in zip(groups.items(), range(0, len(found), 5), strict=True)
        },
    )


def _asked(stream: str, group: str) -> tuple[Command, ...]:
    waiting = keys.waiting(stream, group)
    return (
        commands.hgetall(keys.counters(stream, group)),
        commands.zcard(waiting),
        commands.lowest_score(waiting),
        commands.xlen(keys.dead_letters(stream, group)),
        commands.xinfo_consumers(stream, group),
    )


def _group(group: Group, behind: lag.Lag, found: Sequence[Any], now_ms: float) -> GroupReading:
    # Somebody else's key in place of ours counts nothing; it is no reason to fail.
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
