"""The values of all series at one moment: one pipeline for all streams, and one more for groups that are behind."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, get_args

from synapse.errors.delivery import FailureClass
from synapse.redis import Command, Conversation, ReplyError, ask, keyspace
from synapse.redis.commands import statistics as commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.statistics import StreamSample, number
from synapse.redis.commands.streams import Group
from synapse.runtime.histogram import SUM, quantile
from synapse.statistics import series
from synapse.statistics.marks import MOST_COUNTED, Lag, Marks, Question
from synapse.statistics.series import SERIES, Key, Series

# So many groups of a stream are sampled, the first by name; so many labels a series has at most.
MOST_GROUPS, MOST_LABELS = 200, 64
# So many entries are counted in one round to find out lags: further ones are estimated.
MOST_COUNTED_A_ROUND = 20_000

Values = dict[Key, int]
_OF_STREAM = [each for each in SERIES if each.scope == "stream" and each.source and not each.label]
_LABELLED = [each for each in SERIES if each.scope == "stream" and each.label and each.source]
_OF_GROUP = [each for each in SERIES if each.scope == "group" and each.source and not each.label]
_CLASSES = get_args(FailureClass)
_SUMMED = tuple(dict.fromkeys(field for each in _OF_GROUP for field in each.source))
_FIELDS = (*_SUMMED, *(f"{series.FAILURES.source[0]}{name}" for name in _CLASSES))
# Where the fields of each group's series stand among those that are asked for.
_SUMS = [(each.number, tuple(map(_FIELDS.index, each.source))) for each in _OF_GROUP]
_A_GROUP = 3


@lru_cache(maxsize=20_000)
def _key(number: int, group: str = "", label: str = "") -> Key:
    return Key(number, group, label)


class _Stream:
    """A stream as of the previous round: its groups, its marks, and its memory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: list[str] = []
        self.marks = Marks()
        self.memory: int | None = None
        self.durations: Mapping[str, bytes] | None = None
        self._asked = self._commands()

    def commands(self, *, memory: bool) -> list[Command]:
        """Return what is asked of the stream and its groups."""
        return [commands.sample(self.name, memory=memory), *self._asked]

    def follow(self, groups: Sequence[str]) -> None:
        """Know of the groups that there are now, for the next round."""
        found = sorted(groups)[:MOST_GROUPS]
        if found != self.groups:
            self.groups = found
            self._asked = self._commands()

    def _commands(self) -> list[Command]:
        name = self.name
        asked = [
            stream_commands.hgetall(keyspace.stats(name)),
            stream_commands.hgetall(keyspace.durations(name)),
            stream_commands.xinfo_groups(name),
        ]
        for group in self.groups:
            asked += (
                commands.counters(name, group, _FIELDS),
                stream_commands.zcard(keyspace.waiting(name, group)),
                stream_commands.xlen(keyspace.dead_letters(name, group)),
            )
        # They are sent every five seconds: packing them takes longer than sending them.
        return [commands.packed(command) for command in asked]


class Collector:
    """Collects the values of all series."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def collect(self, names: Iterable[str], *, now_ms: int, memory: bool) -> Conversation[dict[str, Values]]:
        """Return the values of each stream; those of one of which Redis cannot tell are left out.

        Args:
            names: those of the streams.
            now_ms: the time in milliseconds since 1970.
            memory: whether to measure memory again.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        streams = {name: self._streams.get(name) or _Stream(name) for name in names}
        # Without their groups the first sample of a new sampler would be a gap of each.
        if new := [stream for name, stream in streams.items() if name not in self._streams]:
            found_groups = yield from ask([stream_commands.xinfo_groups(stream.name) for stream in new])
            for stream, reply in zip(new, found_groups, strict=True):
                stream.follow([] if isinstance(reply, ReplyError) else [row.name for row in reply])
        self._streams = streams
        asked = [stream.commands(memory=memory) for stream in streams.values()]
        replies = iter((yield from ask([command for some in asked for command in some])) if asked else [])
        found: dict[str, Values] = {}
        behind: dict[str, dict[str, Question]] = {}
        budget = MOST_COUNTED_A_ROUND
        for stream, some in zip(streams.values(), asked, strict=True):
            sample, counters, durations, rows, *of_groups = islice(replies, len(some))
            if isinstance(sample, ReplyError):
                continue
            groups: dict[str, Group] = {} if isinstance(rows, ReplyError) else {row.name: row for row in rows}
            values = found[stream.name] = _of_stream(stream, sample, counters)
            values |= _quantiles(stream, durations)
            stream.marks.note(sample)
            questions: dict[str, Question] = {}
            for place, name in enumerate(stream.groups):
                if (group := groups.get(name)) is None:
                    continue
                _add_group(values, group, of_groups[place * _A_GROUP : (place + 1) * _A_GROUP])
                lag = stream.marks.lag(group.last_delivered_id, most=min(MOST_COUNTED, budget))
                if isinstance(lag, Lag):
                    _add_lag(values, name, lag, now_ms)
                else:
                    questions[name] = lag
                    budget = max(1, budget - lag.most)
            if questions:
                behind[stream.name] = questions
            stream.follow(list(groups))
        yield from _count(behind, found, now_ms)
        return found


def _of_stream(stream: _Stream, sample: StreamSample, counters: Any) -> Values:
    # Somebody else's key in place of ours counts nothing; it is no reason to fail.
    texts: Mapping[str, bytes] = {} if isinstance(counters, ReplyError) else counters
    values = {_key(each.number): sum(number(texts.get(field)) for field in each.source) for each in _OF_STREAM}
    values[_key(series.LENGTH.number)] = sample.length
    if sample.added >= 0:
        values[_key(series.ADDED.number)] = sample.added
    if sample.memory >= 0:
        stream.memory = sample.memory
    if stream.memory is not None:
        values[_key(series.MEMORY.number)] = stream.memory
    for each in _LABELLED:
        values |= _labelled(each, texts)
    return values


def _quantiles(stream: _Stream, reply: Any) -> Values:
    """Return the quantiles of the durations since the round before. Without any there are none, which is a gap."""
    known, stream.durations = stream.durations, {} if isinstance(reply, ReplyError) else reply
    if known is None or stream.durations == known:
        return {}
    grown: dict[tuple[str, str], dict[str, int]] = {}
    # Few buckets grow between two rounds.
    for field, text in stream.durations.items() - known.items():
        what, _, rest = field.partition(":")
        bucket, _, group = rest.partition(":")
        if bucket != SUM and what in series.DURATIONS and (more := number(text) - number(known.get(field))) > 0:
            grown.setdefault((what, group), {})[bucket] = more
    values: Values = {}
    for (what, group), counts in grown.items():
        each = series.DURATIONS[what]
        for name, part in series.QUANTILES.items():
            if (seconds := quantile(part, counts)) is not None:
                values[_key(each.number, group, name)] = round(seconds * each.scale)
    return values


def _count(
    behind: Mapping[str, Mapping[str, Question]], found: Mapping[str, Values], now_ms: int
) -> Conversation[None]:
    """Count what is to be counted for lags, and add them to what was found."""
    if not behind:
        return
    asked = [
        commands.count_between(stream, [one for question in some.values() for one in question.ranges])
        for stream, some in behind.items()
    ]
    for (stream, some), reply in zip(behind.items(), (yield from ask(asked)), strict=True):
        if isinstance(reply, ReplyError):
            continue
        counted = iter(reply)
        for group, question in some.items():
            _add_lag(found[stream], group, question.lag(list(islice(counted, len(question.ranges)))), now_ms)


def _labelled(each: Series, texts: Mapping[str, bytes]) -> Values:
    """Return a series by its labels: what follows its prefix in the names of fields."""
    (prefix,) = each.source
    labels = sorted(field for field in texts if field.startswith(prefix))[:MOST_LABELS]
    return {_key(each.number, "", field.removeprefix(prefix)): number(texts[field]) for field in labels}


def _add_group(values: Values, row: Group, replies: Sequence[Any]) -> None:
    # Somebody else's key in place of ours counts nothing; it is no reason to fail.
    counters, waiting, dead = (None if isinstance(reply, ReplyError) else reply for reply in replies)
    group, counted = row.name, counters or [0] * len(_FIELDS)
    for code, places in _SUMS:
        values[_key(code, group)] = sum([counted[place] for place in places])
    for name, count in zip(_CLASSES, counted[len(_SUMMED) :], strict=True):
        if count:
            values[_key(series.FAILURES.number, group, name)] = count
    values[_key(series.IN_FLIGHT.number, group)] = row.pending
    values[_key(series.SCHEDULED.number, group)] = waiting or 0
    values[_key(series.DEAD.number, group)] = dead or 0


def _add_lag(values: Values, group: str, lag: Lag, now_ms: int) -> None:
    age_ms = 0 if lag.since is None else max(0, now_ms - lag.since)
    values[_key(series.LAG_EVENTS.number, group)] = lag.events
    values[_key(series.LAG_SECONDS.number, group)] = age_ms * series.LAG_SECONDS.scale // 1000
    values[_key(series.LAG_INEXACT.number, group)] = int(not lag.exact)
