"""The values of all series at one moment: one pipeline for all streams, and one more for groups that are behind.

The replies for each stream are compared with the previous ones, and only changed parts are parsed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, get_args

from synapse.errors.delivery import FailureClass
from synapse.redis import Command, Conversation, ReplyError, ask, keyspace
from synapse.redis.commands import statistics as commands
from synapse.redis.commands.statistics import StreamSample, group_sample, number, stream_sample
from synapse.runtime.histogram import SUM, quantiles
from synapse.statistics import series
from synapse.statistics.marks import MOST_COUNTED, READ_ALL, Lag, Marks, Question
from synapse.statistics.series import SERIES, Key, Series

# The number of sampled groups of a stream, first by name; and the greatest number of labels of a series.
MOST_GROUPS, MOST_LABELS = 200, 64
# The number of entries that are counted for lags in one round. Further lags are estimated.
MOST_COUNTED_A_ROUND = 20_000

Values = dict[Key, int]
_OF_STREAM = [each for each in SERIES if each.scope == "stream" and each.source and not each.label]
_LABELLED = [each for each in SERIES if each.scope == "stream" and each.label and each.source]
_OF_GROUP = [each for each in SERIES if each.scope == "group" and each.source and not each.label]
_CLASSES = get_args(FailureClass)
_SUMMED = tuple(dict.fromkeys(field for each in _OF_GROUP for field in each.source))
_FIELDS = (*_SUMMED, *(f"{series.FAILURES.source[0]}{name}" for name in _CLASSES))
# The positions of the fields of each group's series among the requested fields.
_SUMS = [(each.number, tuple(map(_FIELDS.index, each.source))) for each in _OF_GROUP]
# The number of commands for each stream.
_ASKED = 3
_PLACES = (series.IN_FLIGHT.number, series.SCHEDULED.number, series.DEAD.number)
_LAGS = (series.LAG_EVENTS.number, series.LAG_SECONDS.number, series.LAG_INEXACT.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The values of one moment.

    Attributes:
        values: the series of each stream by its name. The next collection changes them.
        touched: the series of each stream that may have changed since the previous collection.
    """

    values: Mapping[str, Values]
    touched: Mapping[str, Collection[Key]]


@lru_cache(maxsize=20_000)
def _key(number: int, group: str = "", label: str = "") -> Key:
    return Key(number, group, label)


class _Group:
    """A group as of the previous round."""

    __slots__ = ("counted", "delivered_id", "has_read_all", "keys", "lags", "name", "places", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = b""
        self.delivered_id = ""
        self.has_read_all = False
        self.counted = [Key(code, name) for code, _ in _SUMS]
        self.places = [Key(code, name) for code in _PLACES]
        self.lags = [Key(code, name) for code in _LAGS]
        # Its series, except for the lag.
        self.keys: Collection[Key] = ()


class _Stream:
    """A stream as of the previous round: Redis' replies, and the values computed from them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: list[_Group] = []
        self.values: Values = {}
        self.touched: set[Key] = set()
        self.behind: list[tuple[_Group, Question]] = []
        self._memory = -1
        self._names: list[bytes] | None = None
        self._row: list[object] = []
        self._counters: list[bytes] | None = None
        self._durations: list[bytes] | None = None
        self._buckets: dict[bytes, bytes] = {}
        self.marks = Marks()
        self._lasted: Collection[Key] = ()
        self._asked = self._commands({})

    def commands(self, *, memory: bool) -> Sequence[Command]:
        """Return the Redis commands for the stream and its groups."""
        return self._asked[memory]

    def take_replies(self, replies: Sequence[Any], *, now_ms: int, budget: int) -> int:
        """Process the replies to `commands`. Return the number of entries that have to be counted for the lags of
        `behind`.
        """
        # A key of another type under this name counts as 0 and is no error.
        counters, durations, sample = ([] if isinstance(reply, ReplyError) else reply for reply in replies)
        self.touched, self.behind = set(), []
        if not sample:
            self.forget()
            return 0
        row = sample.stream[:5]
        is_same = row == self._row
        if not is_same:
            self._row, read = row, stream_sample(sample.stream)
            self.marks.note(read)
            self._take_row(read)
        if sample.stream[5] >= 0:
            self._memory = sample.stream[5]
        if self._memory >= 0:
            self._set_value(_key(series.MEMORY.number), self._memory)
        if counters != self._counters:
            self._counters = counters
            self._take_counters({name.decode("utf-8", "replace"): text for name, text in _pairs_of(counters)})
        self._take_durations(durations)
        counted = 0
        for group, text in zip(self.groups, sample.groups, strict=True):
            if text != group.text:
                self._take_group(group, text)
            if text and not (is_same and group.has_read_all):
                counted += self._take_lag(group, most=min(MOST_COUNTED, max(1, budget - counted)), now_ms=now_ms)
        return counted

    def set_groups(self, names: list[bytes]) -> None:
        """Set the groups that exist now, for the next round."""
        if names == self._names:
            return
        self._names = names
        by_text = {name.decode("utf-8", "replace"): name for name in names}
        asked = {name: by_text[name] for name in sorted(by_text)[:MOST_GROUPS]}
        known = {group.name: group for group in self.groups}
        for gone in known.keys() - asked.keys():
            self._take_group(known[gone], b"")
        self.groups = [known.get(name) or _Group(name) for name in asked]
        self._asked = self._commands(asked)

    def forget(self) -> None:
        """Forget everything about the stream but its groups, because Redis could not answer."""
        self.touched.update(self.values)
        self.values = {}
        self._row, self._counters, self._durations, self._buckets, self._lasted = [], None, None, {}, ()
        for group in self.groups:
            group.text, group.keys, group.has_read_all = b"", (), False

    def add_lag(self, group: _Group, lag: Lag, now_ms: int) -> None:
        """Set the lag of a group."""
        age_ms = 0 if lag.since is None else max(0, now_ms - lag.since)
        for key, found in zip(
            group.lags, (lag.events, age_ms * series.LAG_SECONDS.scale // 1000, int(not lag.exact)), strict=True
        ):
            self._set_value(key, found)

    def drop(self, keys: Iterable[Key]) -> None:
        """Remove these series."""
        for key in keys:
            if self.values.pop(key, None) is not None:
                self.touched.add(key)

    def _set_value(self, key: Key, found: int) -> None:
        if self.values.get(key) != found:
            self.values[key] = found
            self.touched.add(key)

    def _replace(self, before: Collection[Key], found: Values) -> Collection[Key]:
        """Replace some series by others. Return the affected keys."""
        if before:
            self.drop([key for key in before if key not in found])
        self.values |= found
        self.touched.update(found)
        return found.keys()

    def _commands(self, groups: Mapping[str, bytes]) -> tuple[Sequence[Command], Sequence[Command]]:
        """Return the Redis commands for the stream and these groups: the usual ones, and those that also measure
        memory.
        """
        asked = [
            commands.hash_items(keyspace.stats(self.name)),
            commands.hash_items(keyspace.durations(self.name)),
            commands.sample_with_groups(self.name, groups, _FIELDS, memory=False),
        ]
        with_memory = [*asked[:-1], commands.sample_with_groups(self.name, groups, _FIELDS, memory=True)]
        # The commands are sent every five seconds, and packing them takes longer than sending them.
        return [commands.pack_once(command) for command in asked], with_memory

    def _take_row(self, sample: StreamSample) -> None:
        self._set_value(_key(series.LENGTH.number), sample.length)
        if sample.added >= 0:
            self._set_value(_key(series.ADDED.number), sample.added)

    def _take_counters(self, texts: Mapping[str, bytes]) -> None:
        for each in _OF_STREAM:
            self._set_value(_key(each.number), sum(number(texts.get(field)) for field in each.source))
        for each in _LABELLED:
            before = [key for key in self.values if key.number == each.number]
            self._replace(before, _values_by_label(each, texts))

    def _take_durations(self, durations: list[bytes]) -> None:
        """Set the quantiles of the durations since the previous round. Without durations there are none: a gap."""
        found: Values = {}
        if durations != self._durations:
            known, is_first = self._buckets, self._durations is None
            # Few buckets grow between two rounds.
            others = [(field, text) for field, text in _pairs_of(durations) if known.get(field) != text]
            found = {} if is_first else _added_quantiles(known, others)
            known.update(others)
            if len(known) > len(durations) // 2:
                # The counter was reset.
                self._buckets = dict(_pairs_of(durations))
            self._durations = durations
        if found or self._lasted:
            self._lasted = self._replace(self._lasted, found)

    def _take_group(self, group: _Group, text: bytes) -> None:
        group.text = text
        if not text:
            self.drop((*group.keys, *group.lags))
            group.keys, group.has_read_all = (), False
            return
        sample = group_sample(text, len(_FIELDS))
        counted = sample.counters
        found: Values = {
            key: counted[places[0]] if len(places) == 1 else sum([counted[place] for place in places])
            for key, (_, places) in zip(group.counted, _SUMS, strict=True)
        }
        found |= zip(group.places, (sample.pending, sample.waiting, sample.dead), strict=True)
        if any(failed := counted[len(_SUMMED) :]):
            for name, count in zip(_CLASSES, failed, strict=True):
                if count:
                    found[_key(series.FAILURES.number, group.name, name)] = count
        if sample.delivered_id != group.delivered_id:
            group.delivered_id, group.has_read_all = sample.delivered_id, False
        group.keys = self._replace(group.keys, found)

    def _take_lag(self, group: _Group, *, most: int, now_ms: int) -> int:
        """Set the lag of a group, or record the range to count for it. Return the greatest number of entries in that
        range.
        """
        lag = self.marks.lag(group.delivered_id, most=most)
        group.has_read_all = lag is READ_ALL
        if isinstance(lag, Lag):
            self.add_lag(group, lag, now_ms)
            return 0
        self.behind.append((group, lag))
        return lag.most


class Collector:
    """Collects the values of all series."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def collect(self, names: Iterable[str], *, now_ms: int, memory: bool) -> Conversation[Collected]:
        """Return the values of each stream. Streams for which Redis cannot answer are left out.

        Args:
            names: the names of the streams.
            now_ms: the time in milliseconds since 1970.
            memory: whether to measure memory again.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        streams = {name: self._streams.get(name) or _Stream(name) for name in names}
        # Without the groups, the first sample of a new sampler would be a gap for each group.
        if new := [stream for name, stream in streams.items() if name not in self._streams]:
            replies = yield from ask([stream.commands(memory=False)[-1] for stream in new])
            for stream, reply in zip(new, replies, strict=True):
                stream.set_groups([] if isinstance(reply, ReplyError) else reply.names)
        self._streams = streams
        asked = [command for stream in streams.values() for command in stream.commands(memory=memory)]
        replies = (yield from ask(asked)) if asked else []
        parts = [replies[place : place + _ASKED] for place in range(0, len(replies), _ASKED)]
        budget = MOST_COUNTED_A_ROUND
        for stream, part in zip(streams.values(), parts, strict=True):
            budget = max(1, budget - stream.take_replies(part, now_ms=now_ms, budget=budget))
        yield from _count_lags([stream for stream in streams.values() if stream.behind], now_ms)
        for stream, (*_, sample) in zip(streams.values(), parts, strict=True):
            if not isinstance(sample, ReplyError):
                stream.set_groups(sample.names)
        return Collected(
            values={name: stream.values for name, stream in streams.items() if stream.values},
            touched={name: stream.touched for name, stream in streams.items()},
        )


def _pairs_of(reply: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(reply[::2], reply[1::2], strict=True)


def _added_quantiles(known: Mapping[bytes, bytes], others: Iterable[tuple[bytes, bytes]]) -> Values:
    """Return the quantiles of the durations that were added to histograms, from the buckets that changed."""
    grown: dict[tuple[str, str], dict[str, int]] = {}
    for field, text in others:
        what, _, rest = field.decode("utf-8", "replace").partition(":")
        bucket, _, group = rest.partition(":")
        if bucket != SUM and what in series.DURATIONS and (more := number(text) - number(known.get(field))) > 0:
            grown.setdefault((what, group), {})[bucket] = more
    values: Values = {}
    for (what, group), counts in grown.items():
        each = series.DURATIONS[what]
        for name, seconds in zip(series.QUANTILES, quantiles(series.QUANTILES.values(), counts), strict=False):
            values[_key(each.number, group, name)] = each.to_stored(seconds)
    return values


def _count_lags(behind: Sequence[_Stream], now_ms: int) -> Conversation[None]:
    """Count the entries that are needed for lags, and add the lags to the values."""
    if not behind:
        return
    asked = [
        commands.count_between(stream.name, [one for _, question in stream.behind for one in question.ranges])
        for stream in behind
    ]
    for stream, reply in zip(behind, (yield from ask(asked)), strict=True):
        counted = iter(() if isinstance(reply, ReplyError) else reply)
        for group, question in stream.behind:
            if isinstance(reply, ReplyError):
                stream.drop(group.lags)
            else:
                stream.add_lag(group, question.lag(list(islice(counted, len(question.ranges)))), now_ms)


def _values_by_label(each: Series, texts: Mapping[str, bytes]) -> Values:
    """Return a series by its labels: the part of each field's name after the prefix."""
    (prefix,) = each.source
    labels = sorted(field for field in texts if field.startswith(prefix))[:MOST_LABELS]
    return {_key(each.number, "", field.removeprefix(prefix)): number(texts[field]) for field in labels}
