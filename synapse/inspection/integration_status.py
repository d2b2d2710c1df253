"""The services that publish or read, as Redis shows them: the sources of events, and the groups that read them.

Web servers record the sources that publish through them (synapse.publishing.counters). For streams that other programs
write to, some of the newest entries are read. Sources and group names are only claims, and readers over HTTP without a
group leave no trace. So *Integration status* shows the evidence beside each finding.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.inspection.lag import GroupName, Lag, lags_of
from synapse.inspection.range_query import Scan
from synapse.redis import Conversation, RedisFailure, ReplyError, answer, ask, together
from synapse.redis.commands.participants import Publisher, Reader, Readers, publishers, readers_of
from synapse.schema.pii import MASK
from synapse.wire.encoding import decode, pairs
from synapse.wire.ids import Range, parse
from synapse.wire.masking import mask_of, may_hold_pii

# How many of a stream's newest entries, and how many of their bytes, are read to find sources.
LOOKED_AT = 100
_MOST_BYTES = 256 * 1024
# How many streams are read at a time: first those with an entry newer than every recorded publish.
STREAMS_LOOKED_AT = 50
# The limit up to which lag is counted.
MOST_LAG = 1000
# A participant seen within this time is active.
ACTIVE_SECONDS = 15 * 60

State = Literal["active", "silent", "never seen"]

# Further names under which a service publishes and reads.
ALIASES: Mapping[str, Sequence[str]] = {
    "platform-analytics-service": ("analytics-service", "synapse-archive"),
    "realtime-gateway": ("real-time-gateway", "realtime-gateway-sg-canary"),
    "cyrex": ("cyrex-runtime", "cyrex-model-loader", "cyrex-document-artifacts"),
    "cyrex-agi": ("cyrex-agi-pressure",),
    "helox": ("helox-workers", "helox-training-consumers", "helox-train-live"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The last time that a source was seen to publish to a stream (milliseconds since 1970)."""

    stream: str
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """A group's observed reading of one stream.

    `delivered_id` is the last entry delivered to the group, `read_up_to_ms` the time of that entry, None if there is
    none. `asked_ms` is the last request of any of its consumers, None without consumers. `caught_up` is true when the
    group got the stream's latest entry. `lag` is None until it is counted. Times are milliseconds since 1970.
    """

    stream: str
    group: str
    delivered_id: str
    read_up_to_ms: int | None
    asked_ms: int | None
    pending: int
    caught_up: bool
    lag: Lag | None = None

    @property
    def seen_ms(self) -> int | None:
        """The time when the group was last active: a consumer's last request, else the time of the latest event
        delivered to it.
        """
        return self.asked_ms or self.read_up_to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All observations by source and by group, each list latest first.

    `fresh` has the sources that were found in entries just now: by stream and source, the time of the newest entry
    (ms). `unseen` is the number of streams whose entries come from unrecorded sources and were left for the next call.
    """

    published: Mapping[str, Sequence[Published]]
    consumed: Mapping[str, Sequence[Consumed]]
    fresh: Mapping[Publisher, int] = field(default_factory=dict)
    unseen: int = 0
    problems: Mapping[str, RedisFailure] = field(default_factory=dict)


def names_of(service: str) -> tuple[str, ...]:
    """Return the names that a service uses in events and groups."""
    return (service, *ALIASES.get(service, ()))


def state(seen_ms: Sequence[int | None], now_ms: int) -> State:
    """Return the state of a participant from the times when it was seen; a time of None is evidence without a time."""
    if not seen_ms:
        return "never seen"
    latest = max(moment or 0 for moment in seen_ms)
    return "active" if now_ms - latest <= ACTIVE_SECONDS * 1000 else "silent"


def observe_participants(
    streams: Sequence[str], now_ms: int, catalog: Snapshot, known: Iterable[str]
) -> Conversation[Observations]:
    """Find the publishers of the streams and the groups that read them, in two round trips for any number of streams.

    Sources that are PII are masked for all callers, because statistics reach more people than events do. When a
    stream's contracts mark PII, its recorded sources are masked, too, except the names of services in `known`: a source
    may have been recorded before it was marked.
    """
    noted, *replies = yield from ask([publishers(), *map(readers_of, streams)])
    problems: dict[str, RedisFailure] = {}
    readers: dict[str, Readers] = {}
    for stream, reply in zip(streams, replies, strict=True):
        try:
            readers[stream] = answer(reply, stream, absent=Readers())
        except RedisFailure as failure:
            problems[stream] = failure
    last: dict[Publisher, int] = {}
    explained: dict[str, int] = {}
    names = frozenset(known)
    # A key of another program under this name is ignored and is no error.
    for (stream, source), ms in ({} if isinstance(noted, ReplyError) else noted).items():
        if stream not in readers:
            continue
        explained[stream] = max(ms, explained.get(stream, 0))
        hidden = source not in names and may_hold_pii(catalog.display_definition(stream))
        shown = MASK if hidden else source
        last[stream, shown] = max(ms, last.get((stream, shown), 0))
    latest = {stream: parse(found.last_id) for stream, found in readers.items() if found.last_id != "0-0"}
    unseen = sorted(
        (stream for stream, id_ in latest.items() if id_.ms > explained.get(stream, 0)), key=latest.__getitem__
    )
    # Streams with recorded sources may have other writers, too: use the remaining capacity for a random choice of them.
    rest = [stream for stream in latest if stream not in frozenset(unseen)]
    picked = [*reversed(unseen), *random.sample(rest, len(rest))][:STREAMS_LOOKED_AT]
    asked = {stream: _find_sources(stream, catalog.display_definition(stream)) for stream in picked}
    fresh: dict[Publisher, int] = {}
    for stream, part in (yield from together(asked)).items():
        if isinstance(part, RedisFailure):
            problems[stream] = part
            continue
        fresh |= {(stream, source): ms for source, ms in part.items()}
    for key, ms in fresh.items():
        last[key] = max(ms, last.get(key, 0))
    return Observations(
        published=_by_source(last),
        consumed=_by_group(readers, now_ms),
        fresh=fresh,
        unseen=len(unseen[STREAMS_LOOKED_AT:]),
        problems=problems,
    )


def with_lag(consumed: Iterable[Consumed]) -> Conversation[dict[GroupName, Lag]]:
    """Count the lag of these groups."""
    places = {(each.stream, each.group): each for each in consumed}
    behind = yield from lags_of(
        {name: each.delivered_id for name, each in places.items() if not each.caught_up}, most=MOST_LAG
    )
    return {name: behind.get(name, Lag(events=0, exact=True, since=None)) for name in places}


def _by_source(last: Mapping[Publisher, int]) -> dict[str, list[Published]]:
    found: dict[str, list[Published]] = {}
    for (stream, source), ms in sorted(last.items(), key=lambda item: (-item[1], item[0])):
        found.setdefault(source, []).append(Published(stream=stream, last_ms=ms))
    return found


def _by_group(readers: Mapping[str, Readers], now_ms: int) -> dict[str, list[Consumed]]:
    found: dict[str, list[Consumed]] = {}
    for stream, those in readers.items():
        for one in those.groups:
            found.setdefault(one.group, []).append(_consumption_of(stream, one, those.last_id, now_ms))
    for group in found.values():
        group.sort(key=lambda each: (-(each.seen_ms or 0), each.stream))
    return found


def _consumption_of(stream: str, one: Reader, last_id: str, now_ms: int) -> Consumed:
    return Consumed(
        stream=stream,
        group=one.group,
        delivered_id=one.last_delivered_id,
        read_up_to_ms=parse(one.last_delivered_id).ms or None,
        asked_ms=None if one.idle is None else now_ms - one.idle,
        pending=one.pending,
        caught_up=parse(one.last_delivered_id) >= parse(last_id),
    )


def _find_sources(stream: str, definition: StreamDefinition | None) -> Conversation[dict[str, int]]:
    """Return the time (ms) of the newest entry of each source among the stream's newest entries; "" stands for no
    source.
    """
    last: dict[str, int] = {}
    scan = Scan(stream, Range(), order="newest", most=LOOKED_AT, most_bytes=_MOST_BYTES)
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        for found in scan.take_chunk(answer(reply, stream, absent=[])):
            decoded = decode(pairs(found.parts))
            mask = mask_of(definition, decoded)
            source = (mask.decoded(decoded) if mask else decoded).source or ""
            last.setdefault(source, parse(found.id).ms)
    return last
