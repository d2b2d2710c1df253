"""What goes on in streams, for lists of them: one pipeline for any number.

Only the newest entries of each stream are looked at. What they cannot tell exactly is told as "at least": the page of a
stream counts further.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from synapse.inspection import stream_stats
from synapse.inspection.lag import Lag
from synapse.inspection.stream_stats import Figures
from synapse.problems import Problem
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.base import Conversation
from synapse.redis.commands.streams import Group
from synapse.redis.queries import answer, ask, together
from synapse.wire.ids import EntryId, parse

LOOKED_AT = 100
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Events a minute: counted over the last one, or, when they are too many, reckoned from the newest."""

    per_minute: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What goes on in one stream. `worst` is the lag of the group that is furthest behind, None without groups.

    `last_ms` is the moment of the latest event that ever was, None when there never was one. `problem` says why
    Redis could not tell.
    """

    figures: Figures
    last_ms: int | None
    rate: Rate
    worst: Lag | None
    now_ms: int
    problem: Problem | None = None

    @property
    def behind_seconds(self) -> float | None:
        """The age of the oldest event that the worst group has not read, in seconds."""
        return None if self.worst is None else self.worst.seconds(self.now_ms)


def of(streams: Iterable[str], *, now_ms: int | None = None) -> Conversation[dict[str, Overview]]:
    """Find out what goes on in the streams. What is wrong with one is its own `problem`.

    Raises:
        Unavailable: when Redis cannot be used.
    """
    names = list(streams)
    found = yield from together({"figures": stream_stats.of(names), "newest": _newest(names)})
    for part in found.values():
        if isinstance(part, Problem):
            raise part
    now = int(time.time() * 1000) if now_ms is None else now_ms
    return {name: _overview(found["figures"][name], *found["newest"][name], now_ms=now) for name in names}


def _newest(names: Sequence[str]) -> Conversation[dict[str, tuple[list[Group], list[EntryId]]]]:
    """Find out the groups of each stream, and the ids of its newest entries, newest first."""
    asked = [
        command
        for name in names
        for command in (
            stream_commands.xinfo_groups(name),
            stream_commands.xrevrange(name, stream_commands.LAST, stream_commands.FIRST, LOOKED_AT),
        )
    ]
    replies = (yield from ask(asked)) if asked else []
    return {
        name: (_or_none(groups, name), [parse(entry.id) for entry in _or_none(entries, name)])
        for name, groups, entries in zip(names, replies[::2], replies[1::2], strict=True)
    }


def _or_none(reply: Any, name: str) -> Any:
    try:
        return answer(reply, name, absent=[])
    except Problem:
        # The figures of the same stream say what is wrong.
        return []


def _overview(found: Figures, groups: Sequence[Group], newest: Sequence[EntryId], *, now_ms: int) -> Overview:
    first = found.info["first-entry"]
    oldest = None if first is None else parse(first.id)
    lags = [_lag(parse(group.last_delivered_id), newest, oldest, found.length) for group in groups]
    return Overview(
        figures=found,
        last_ms=parse(found.last_generated_id).ms or None,
        rate=_rate(newest, now_ms),
        worst=max(lags, key=lambda lag: (lag.seconds(now_ms), lag.events), default=None),
        now_ms=now_ms,
        problem=found.problem,
    )


def _rate(newest: Sequence[EntryId], now_ms: int) -> Rate:
    recent = [id_ for id_ in newest if id_.ms > now_ms - _MINUTE_MS]
    if len(recent) < LOOKED_AT:
        return Rate(per_minute=len(recent), exact=True)
    # So many within less than a minute: as if the rest of it had been like this. A second at least, lest a burst of
    # one millisecond looks like millions.
    span = max(now_ms - recent[-1].ms, 1000)
    return Rate(per_minute=round(len(recent) * _MINUTE_MS / span), exact=False)


def _lag(delivered: EntryId, newest: Sequence[EntryId], oldest: EntryId | None, length: int) -> Lag:
    """Return how far a group is behind, as far as the newest entries and the oldest one tell."""
    unread = [id_ for id_ in newest if id_ > delivered]
    if len(unread) < len(newest) or len(newest) < LOOKED_AT:
        return Lag(events=len(unread), exact=True, since=unread[-1].ms if unread else None)
    if oldest is not None and delivered < oldest:
        return Lag(events=length, exact=True, since=oldest.ms)
    return Lag(events=len(unread), exact=False, since=unread[-1].ms)
