"""The values of all series at one moment: one pipeline for all streams, and one more for groups that are behind."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from synapse.redis import Command, Conversation, ReplyError, ask, keyspace
from synapse.redis.commands import statistics as commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.statistics import StreamSample, number
from synapse.redis.commands.streams import Group
from synapse.statistics import series
from synapse.statistics.marks import MOST_COUNTED, Lag, Marks, Question
from synapse.statistics.series import SERIES, Key, Series

# So many groups of a stream are sampled, the first by name; so many labels a series has at most.
MOST_GROUPS, MOST_LABELS = 200, 64
# So many entries are counted in one round to find out lags: further ones are estimated.
MOST_COUNTED_A_ROUND = 20_000

Values = dict[Key, int]
_OF_STREAM = [each for each in SERIES if each.scope == "stream" and each.source and not each.label]
_LABELLED = [each for each in SERIES if each.scope == "stream" and each.label]
_OF_GROUP = [each for each in SERIES if each.scope == "group" and each.source]
_FIELDS = tuple(dict.fromkeys(field for each in _OF_GROUP for field in each.source))
# Where the fields of each group's series stand among those that are asked for.
_SUMS = [(each.number, tuple(map(_FIELDS.index, each.source))) for each in _OF_GROUP]
_A_GROUP = 3


@lru_cache(maxsize=20_000)
def _key(number: int, group: str = "", label: str = "") -> Key:
    return Key(number, group, label)


class Collector:
    """Collects the values of all series. It knows the groups and the marks of the round before."""

    def __init__(self) -> None:
        self._groups: dict[str, list[str]] = {}
        self._marks: dict[str, Marks] = {}
        self._memory: dict[str, int] = {}

    def collect(self, streams: Iterable[str], *, now_ms: int, memory: bool) -> Conversation[dict[str, Values]]:
        """Return the values of each stream; those of one of which Redis cannot tell are left out.

        Args:
            streams: their names.
            now_ms: the time in milliseconds since 1970.
            memory: whether to measure memory anew.

        Raises:
            Unavailable: when Redis cannot be used.
        """
        names = list(streams)
        known = {name: self._groups.get(name, []) for name in names}
        asked = [command for name in names for command in _asked(name, known[name], memory=memory)]
        replies = (yield from ask(asked)) if asked else []
        found: dict[str, Values] = {}
        behind: dict[str, dict[str, Lag | Question]] = {}
        at, budget = 0, MOST_COUNTED_A_ROUND
        self._marks = {name: self._marks.get(name) or Marks() for name in names}
        self._groups, self._memory = {}, {name: self._memory[name] for name in names if name in self._memory}
        for name in names:
            sample, counters, rows, *of_groups = replies[at : at + 3 + _A_GROUP * len(known[name])]
            at += 3 + len(of_groups)
            if isinstance(sample, ReplyError):
                continue
            groups = {} if isinstance(rows, ReplyError) else {row.name: row for row in rows}
            self._groups[name] = sorted(groups)[:MOST_GROUPS]
            values = found[name] = self._of_stream(name, sample, counters)
            marks = self._marks[name]
            marks.note(sample)
            lags = behind[name] = {}
            for place, group in enumerate(known[name]):
                if (row := groups.get(group)) is not None:
                    part = of_groups[place * _A_GROUP : (place + 1) * _A_GROUP]
                    _add_group(values, row, part)
                    lags[group] = lag = marks.lag(sample, row.last_delivered_id, most=min(MOST_COUNTED, budget))
                    if isinstance(lag, Question):
                        budget = max(1, budget - sum(most for _, _, most in lag.ranges))
        yield from self._count(behind)
        for name, lags in behind.items():
            for group, lag in lags.items():
                if isinstance(lag, Lag):
                    _add_lag(found[name], group, lag, now_ms)
        return found

    def _of_stream(self, name: str, sample: StreamSample, counters: Any) -> Values:
        texts: Mapping[str, bytes] = {} if isinstance(counters, ReplyError) else counters
        if sample.memory >= 0:
            self._memory[name] = sample.memory
        values = {_key(each.number): sum(number(texts.get(field)) for field in each.source) for each in _OF_STREAM}
        values[_key(series.LENGTH.number)] = sample.length
        if sample.added >= 0:
            values[_key(series.ADDED.number)] = sample.added
        if name in self._memory:
            values[_key(series.MEMORY.number)] = self._memory[name]
        for each in _LABELLED:
            values |= _labelled(each, texts)
        return values

    def _count(self, behind: dict[str, dict[str, Lag | Question]]) -> Conversation[None]:
        """Count what is to be counted, and put each lag in the place of its question."""
        questions = {
            name: {group: lag for group, lag in lags.items() if isinstance(lag, Question)}
            for name, lags in behind.items()
        }
        asking = [name for name, some in questions.items() if some]
        if not asking:
            return
        replies = yield from ask(
            [
                commands.count_between(name, [one for each in questions[name].values() for one in each.ranges])
                for name in asking
            ]
        )
        for name, counted in zip(asking, replies, strict=True):
            if isinstance(counted, ReplyError):
                continue
            at = 0
            for group, question in questions[name].items():
                behind[name][group] = question.lag(counted[at : at + len(question.ranges)])
                at += len(question.ranges)


def _asked(stream: str, groups: Sequence[str], *, memory: bool) -> list[Command]:
    asked = [
        commands.sample(stream, memory=memory),
        stream_commands.hgetall(keyspace.stats(stream)),
        stream_commands.xinfo_groups(stream),
    ]
    for group in groups:
        asked += (
            commands.counters(stream, group, _FIELDS),
            stream_commands.zcard(keyspace.waiting(stream, group)),
            stream_commands.xlen(keyspace.dead_letters(stream, group)),
        )
    return asked


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
    values[_key(series.IN_FLIGHT.number, group)] = row.pending
    values[_key(series.SCHEDULED.number, group)] = waiting or 0
    values[_key(series.DEAD.number, group)] = dead or 0


def _add_lag(values: Values, group: str, lag: Lag, now_ms: int) -> None:
    age_ms = 0 if lag.since is None else max(0, now_ms - lag.since)
    values[_key(series.LAG_EVENTS.number, group)] = lag.events
    values[_key(series.LAG_SECONDS.number, group)] = age_ms * series.LAG_SECONDS.scale // 1000
    values[_key(series.LAG_INEXACT.number, group)] = int(not lag.exact)
