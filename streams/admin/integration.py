"""Which services take part, as far as Redis tells: who is the source of events, and whose groups read. No I/O.

Events say their source, and groups have names; neither is proof, and who reads over HTTP without a group leaves no
trace. So what is found out here is what was seen, and where it was looked for is told beside it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.problems import Problem
from streams import entry, lag
from streams.admin.together import together
from streams.asking import answer, ask
from streams.broker import commands
from streams.broker.command import Conversation
from streams.broker.commands import Consumer, Group
from streams.definitions import Snapshot, StreamDefinition
from streams.entry import pairs
from streams.errors import Unavailable
from streams.ids import Range, parse
from streams.lag import Lag
from streams.masking import mask_of
from streams.scanning import Scan

# How many of each stream's newest entries are looked at for their source, and how far lag is counted.
LOOKED_AT = 1000
MOST_LAG = 1000
# Who was seen within this time is active.
ACTIVE_SECONDS = 15 * 60

State = Literal["active", "silent", "never seen"]

# Names under which programs of the platform write and read, beside that of their service.
ALIASES: Mapping[str, Sequence[str]] = {
    "platform-analytics-service": ("analytics-service", "synapse-archive"),
    "realtime-gateway": ("real-time-gateway", "realtime-gateway-sg-canary"),
    "cyrex": ("cyrex-runtime", "cyrex-model-loader", "cyrex-document-artifacts"),
    "cyrex-agi": ("cyrex-agi-pressure",),
    "helox": ("helox-workers", "helox-training-consumers", "helox-train-live"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a source was seen to publish to one stream: how many of the entries looked at, and when the newest (ms)."""

    stream: str
    count: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What a group was seen to read of one stream.

    `read_up_to_ms` is the moment of the latest event it got, None for none. `asked_ms` is when one of its consumers
    last asked Redis, None when it has none.
    """

    stream: str
    group: str
    read_up_to_ms: int | None
    asked_ms: int | None
    pending: int
    lag: Lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was seen: by the name of a source, and by that of a group. `looked_at` counts the entries."""

    published: Mapping[str, Sequence[Published]]
    consumed: Mapping[str, Sequence[Consumed]]
    looked_at: int
    problems: Mapping[str, Problem] = field(default_factory=dict)


def names_of(service: str) -> tuple[str, ...]:
    """Return the names that a service goes by in events and groups."""
    return (service, *ALIASES.get(service, ()))


def state(seen_ms: Sequence[int | None], now_ms: int) -> State:
    """Return what the moments at which somebody was seen say; None is a trace without a moment."""
    if not seen_ms:
        return "never seen"
    latest = max(moment or 0 for moment in seen_ms)
    return "active" if now_ms - latest <= ACTIVE_SECONDS * 1000 else "silent"


def look(streams: Sequence[str], now_ms: int, catalog: Snapshot) -> Conversation[Seen]:
    """Look at each stream: its newest entries, its groups and their consumers. Sources that are PII are masked, for
    everybody: as figures they go to more people than events do.

    Raises:
        Unavailable: when Redis cannot be used.
    """
    asked: dict[Any, Conversation[Any]] = {}
    for stream in streams:
        asked["sources", stream] = _sources(stream, catalog.shown(stream))
        asked["groups", stream] = _groups(stream, now_ms)
    found = yield from together(asked)
    published: dict[str, list[Published]] = {}
    consumed: dict[str, list[Consumed]] = {}
    problems: dict[str, Problem] = {}
    looked_at = 0
    for (what, stream), part in found.items():
        if isinstance(part, Unavailable):
            raise part
        if isinstance(part, Problem):
            problems[stream] = part
        elif what == "sources":
            looked_at += sum(each.count for each in part.values())
            for source, each in part.items():
                published.setdefault(source, []).append(each)
        else:
            for each in part:
                consumed.setdefault(each.group, []).append(each)
    return Seen(published=published, consumed=consumed, looked_at=looked_at, problems=problems)


def _sources(stream: str, definition: StreamDefinition | None) -> Conversation[dict[str, Published]]:
    """Find out who is named as the source of the stream's newest entries; "" where none is named."""
    counts: Counter[str] = Counter()
    last: dict[str, int] = {}
    scan = Scan(stream, Range(), order="newest", most=LOOKED_AT)
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        for found in scan.take(answer(reply, stream, absent=[])):
            decoded = entry.decode(pairs(found.parts))
            mask = mask_of(definition, decoded)
            source = (mask.decoded(decoded) if mask else decoded).source or ""
            counts[source] += 1
            last.setdefault(source, parse(found.id).ms)
    return {source: Published(stream=stream, count=count, last_ms=last[source]) for source, count in counts.items()}


def _groups(stream: str, now_ms: int) -> Conversation[list[Consumed]]:
    (reply,) = yield from ask([commands.xinfo_groups(stream)])
    groups: list[Group] = answer(reply, stream, absent=[])
    if not groups:
        return []
    members = yield from ask([commands.xinfo_consumers(stream, group.name) for group in groups])
    lags = yield from lag.of({(stream, group.name): group.last_delivered_id for group in groups}, most=MOST_LAG)
    return [
        _consumed(stream, group, answer(reply, stream, absent=[]), lags[stream, group.name], now_ms)
        for group, reply in zip(groups, members, strict=True)
    ]


def _consumed(stream: str, group: Group, members: Sequence[Consumer], behind: Lag, now_ms: int) -> Consumed:
    idle = min((member.idle for member in members), default=None)
    return Consumed(
        stream=stream,
        group=group.name,
        read_up_to_ms=parse(group.last_delivered_id).ms or None,
        asked_ms=None if idle is None else now_ms - idle,
        pending=group.pending,
        lag=behind,
    )
