"""Statistics of streams, in one pipeline for any number: length, ends, counters, and an overview for lists.

An overview reads only the newest entries. A larger number is shown as "at least"; the page of a stream counts further.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from synapse.auth.principal import EVERY_TYPE, Rights, sees
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.inspection.lag import Lag
from synapse.publishing.counters import REFUSED_FOR, Counted, Dropped
from synapse.redis import Conversation, RedisFailure, ReplyError, WrongType, answer, ask, keyspace, together
from synapse.redis.commands.statistics import number
from synapse.redis.commands.streams import FIRST, LAST, Entry, Group, hgetall, xinfo_groups, xinfo_stream, xrevrange
from synapse.wire.encoding import decode, pairs, text_fields
from synapse.wire.fast_decoder import decode_parts
from synapse.wire.ids import EntryId, parse
from synapse.wire.masking import mask_of, may_hold_pii

_SLUG = re.compile(r"[a-z-]{1,40}")

# The last one is counted by the scripts that store an event with an idempotency key.
COUNTED: tuple[str, ...] = (*get_args(Counted), "duplicates")

# XINFO STREAM of a stream that never had an entry: shown for a stream that Redis does not know yet.
NOTHING: Mapping[str, Any] = {
    "length": 0,
    "radix-tree-keys": 0,
    "radix-tree-nodes": 0,
    "last-generated-id": "0-0",
    "max-deleted-entry-id": "0-0",
    "entries-added": 0,
    "recorded-first-entry-id": "0-0",
    "groups": 0,
    "first-entry": None,
    "last-entry": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics:
    """The statistics of one stream in Redis.

    `info` is the reply of XINFO STREAM with Redis' own names. `counters` has the counters named in `COUNTED`, since the
    stream was defined. `refused_by_reason` counts the refused events by the slug of the problem; older refusals have no
    reason. `live_dropped` counts watchers that were too slow for the live tail, `spans_dropped` spans of the stream
    that were not sent. `problem` is the error with which Redis answered for this stream; the other values are then
    those of an empty stream.
    """

    info: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    counters: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    refused_by_reason: Mapping[str, int] = field(default_factory=dict)
    live_dropped: int = 0
    spans_dropped: int = 0
    problem: RedisFailure | None = None

    @property
    def length(self) -> int:
        """The number of entries in the stream."""
        return int(self.info["length"])

    @property
    def groups(self) -> int:
        """The number of consumer groups."""
        return int(self.info["groups"])

    @property
    def last_generated_id(self) -> str:
        """The id of the latest entry ever added, "0-0" when none was."""
        return str(self.info["last-generated-id"])

    def seen_by(self, rights: Rights, stream: str) -> "StreamStatistics":
        """Return the statistics without the entries of types that the caller may not read."""
        if rights.may("read", stream, EVERY_TYPE):
            return self
        hidden = {
            end: None
            for end in ("first-entry", "last-entry")
            if (entry := self.info[end]) is not None
            and not sees(rights, stream, decode_parts(entry.parts, types_of={}).event_type)
        }
        return replace(self, info={**self.info, **hidden}) if hidden else self

    def summary(self, stream: StreamDefinition | None) -> dict[str, Any]:
        """Return the statistics as `/streams` and `/metrics` show them. `stream` is the definition of the stream."""
        shown = {
            "length": self.length,
            "groups": self.groups,
            "first_entry": entry_as_pair(self.info["first-entry"], stream),
            "last_entry": entry_as_pair(self.info["last-entry"], stream),
            "counters": self.counters,
            "refused_by_reason": self.refused_by_reason,
        }
        return shown if self.problem is None else {**shown, "error": self.problem.detail}


def stats_of(streams: Iterable[str]) -> Conversation[dict[str, StreamStatistics]]:
    """Return the statistics of the streams by name. An error with one stream becomes its `problem`; the others
    continue.
    """
    names = list(streams)
    asked = [command for name in names for command in (xinfo_stream(name), hgetall(keyspace.stats(name)))]
    replies = (yield from ask(asked)) if asked else []
    return {
        name: _parse_statistics(name, info, counters)
        for name, info, counters in zip(names, replies[::2], replies[1::2], strict=True)
    }


def entry_as_pair(entry: Entry | None, stream: StreamDefinition | None) -> list[Any] | None:
    """Return an entry as a pair of its id and its fields as text.

    PII is masked for all callers, because statistics do not require the right to see PII.
    """
    if entry is None:
        return None
    fields = pairs(entry.parts)
    shown = text_fields(fields)
    if stream is not None and may_hold_pii(stream):
        decoded = decode(fields, types_of=stream.types_of)
        if mask := mask_of(stream, decoded):
            shown = mask.fields(shown, decoded.event)
    return [entry.id, shown]


def _parse_statistics(name: str, info: Any, counters: Any) -> StreamStatistics:
    try:
        found = answer(info, name, absent=NOTHING)
    except WrongType as problem:
        return StreamStatistics(
            counters=_parse_counters(counters, COUNTED), refused_by_reason=_parse_reasons(counters), problem=problem
        )
    dropped = _parse_counters(counters, get_args(Dropped))
    return StreamStatistics(
        info={**NOTHING, **found},
        counters=_parse_counters(counters, COUNTED),
        refused_by_reason=_parse_reasons(counters),
        live_dropped=dropped["live_dropped"],
        spans_dropped=dropped["spans_dropped"],
    )


def _parse_counters(reply: Any, names: Iterable[str]) -> dict[str, int]:
    # A key of another type, or another program's text, counts as 0 and is no error.
    found = {} if isinstance(reply, ReplyError) else reply
    return {what: number(found.get(what)) for what in names}


def _parse_reasons(reply: Any) -> dict[str, int]:
    if isinstance(reply, ReplyError):
        return {}
    reasons = ((name.removeprefix(REFUSED_FOR), text) for name, text in reply.items() if name.startswith(REFUSED_FOR))
    # A reason that another program wrote is left out.
    return {reason: number(text) for reason, text in sorted(reasons) if _SLUG.fullmatch(reason)}


LOOKED_AT = 100
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The number of events a minute: counted over the last minute, or extrapolated from the newest when there are too
    many.
    """

    per_minute: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The activity of one stream according to its counters."""

    figures: StreamStatistics

    @property
    def last_ms(self) -> int | None:
        """The time of the latest event ever, None when there never was one. Milliseconds since 1970."""
        return parse(self.figures.last_generated_id).ms or None

    @property
    def problem(self) -> RedisFailure | None:
        """The error with which Redis answered, None without one."""
        return self.figures.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Activity):
    """The activity of one stream according to its newest entries, too. `worst` is the lag of the group that is furthest
    behind, None without groups.
    """

    rate: Rate
    worst: Lag | None
    now_ms: int

    @property
    def behind_seconds(self) -> float | None:
        """The age of the oldest event that the worst group has not read, in seconds."""
        return None if self.worst is None else self.worst.seconds(self.now_ms)


def activities_of(streams: Iterable[str]) -> Conversation[dict[str, Activity]]:
    """Return the activity of the streams by name, without reading their entries."""
    found = yield from stats_of(streams)
    return {name: Activity(figures=figures) for name, figures in found.items()}


def overviews_of(streams: Iterable[str], *, now_ms: int | None = None) -> Conversation[dict[str, Overview]]:
    """Return the activity of the streams by name. An error with one stream becomes its `problem`."""
    names = list(streams)
    found = yield from together({"figures": stats_of(names), "newest": _read_newest(names)})
    for part in found.values():
        if isinstance(part, RedisFailure):
            raise part
    now = int(time.time() * 1000) if now_ms is None else now_ms
    return {name: _overview_of(found["figures"][name], *found["newest"][name], now_ms=now) for name in names}


def _read_newest(names: Sequence[str]) -> Conversation[dict[str, tuple[list[Group], list[EntryId]]]]:
    """Read the groups of each stream, and the ids of its newest entries, newest first."""
    asked = [
        command
        for name in names
        for command in (
            xinfo_groups(name),
            xrevrange(name, LAST, FIRST, LOOKED_AT),
        )
    ]
    replies = (yield from ask(asked)) if asked else []
    return {
        name: (_answer_or_empty(groups, name), [parse(entry.id) for entry in _answer_or_empty(entries, name)])
        for name, groups, entries in zip(names, replies[::2], replies[1::2], strict=True)
    }


def _answer_or_empty(reply: Any, name: str) -> Any:
    try:
        return answer(reply, name, absent=[])
    except RedisFailure:
        # The statistics of the stream already report the error.
        return []


def _overview_of(
    found: StreamStatistics, groups: Sequence[Group], newest: Sequence[EntryId], *, now_ms: int
) -> Overview:
    first = found.info["first-entry"]
    oldest = None if first is None else parse(first.id)
    lags = [_estimate_lag(parse(group.last_delivered_id), newest, oldest, found.length) for group in groups]
    return Overview(
        figures=found,
        rate=_rate_of(newest, now_ms),
        worst=max(lags, key=lambda lag: (lag.seconds(now_ms), lag.events), default=None),
        now_ms=now_ms,
    )


def _rate_of(newest: Sequence[EntryId], now_ms: int) -> Rate:
    recent = [id_ for id_ in newest if id_.ms > now_ms - _MINUTE_MS]
    if len(recent) < LOOKED_AT:
        return Rate(per_minute=len(recent), exact=True)
    # The newest entries span less than a minute: extrapolate to a minute, from a second at least, so that a burst
    # within one millisecond does not look like millions of events.
    span = max(now_ms - recent[-1].ms, 1000)
    return Rate(per_minute=round(len(recent) * _MINUTE_MS / span), exact=False)


def _estimate_lag(delivered: EntryId, newest: Sequence[EntryId], oldest: EntryId | None, length: int) -> Lag:
    """Estimate the lag of a group from the newest entries and the oldest one."""
    unread = [id_ for id_ in newest if id_ > delivered]
    if len(unread) < len(newest) or len(newest) < LOOKED_AT:
        return Lag(events=len(unread), exact=True, since=unread[-1].ms if unread else None)
    if oldest is not None and delivered < oldest:
        return Lag(events=length, exact=True, since=oldest.ms)
    return Lag(events=len(unread), exact=False, since=unread[-1].ms)
