"""The last five minutes of the sampled series, followed sample by sample.

Reading the history of a hundred streams takes a tenth of a second. A sample holds only what changed since the previous
one, so an idle stream costs nothing. The history is therefore read once, and again only when a sample was missed.
"""

from collections import Counter, deque
from collections.abc import Collection, Mapping
from typing import Any

from synapse.alerts.rules import WINDOW
from synapse.redis import Conversation
from synapse.statistics import history, series
from synapse.statistics.latest import Sample
from synapse.statistics.rows import Row, Span
from synapse.statistics.series import BY_NUMBER, Key
from synapse.statistics.storage import FINEST

_GAUGES = (series.LENGTH, series.LAG_EVENTS, series.LAG_SECONDS, series.IN_FLIGHT, series.DEAD)
_COUNTERS = (
    *(series.PUBLISHED, series.REFUSED, series.ACKNOWLEDGED, series.FAILED, series.ATTEMPTS, series.FAILURES),
    *(series.BURIED, series.LOST),
)
_SELECTION = series.select(*_GAUGES, *_COUNTERS)
_GAUGE_NAMES = {each.name for each in _GAUGES}
_COUNTER_NAMES = {each.name for each in _COUNTERS}


class _Counter:
    """The growth of a counter in the last five minutes: entries of time, amount and label, and their total."""

    __slots__ = ("growth", "total")

    def __init__(self) -> None:
        self.growth: deque[tuple[int, int, str]] = deque()
        self.total = 0

    def add(self, at: int, by: int, label: str) -> None:
        """Record the growth of a counter, and drop growth older than five minutes."""
        self.growth.append((at, by, label))
        self.total += by
        self.drop_old(at)

    def drop_old(self, now: int) -> None:
        """Drop growth older than five minutes."""
        while self.growth and self.growth[0][0] <= now - WINDOW:
            self.total -= self.growth.popleft()[1]


class Recent:
    """A stream or group: its present values, and the growth of its counters in the last five minutes."""

    __slots__ = ("_counters", "gauges")

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}
        self._counters: dict[str, _Counter] = {}

    def add_growth(self, name: str, at: int, by: int, label: str = "") -> None:
        """Record the growth of a counter."""
        self._counters.setdefault(name, _Counter()).add(at, by, label)

    def total(self, name: str, now: int) -> int:
        """Return by how much a counter grew in the last five minutes."""
        if (counter := self._counters.get(name)) is None:
            return 0
        counter.drop_old(now)
        return counter.total

    def most_frequent_label(self, name: str) -> str:
        """Return the label with the largest growth of a counter, "" when it did not grow."""
        sums: Counter[str] = Counter()
        if name in self._counters:
            for _, by, label in self._counters[name].growth:
                sums[label] += by
        return sums.most_common(1)[0][0] if sums else ""


class RecentSeries:
    """The series of all streams and their groups, as of the latest sample.

    Attributes:
        at: the time of that sample, in seconds since 1970; -1 before the first.
        streams: the streams' own series, by stream.
        groups: the series of groups, by stream and group.
    """

    def __init__(self) -> None:
        self.at = -1
        self.streams: dict[str, Recent] = {}
        self.groups: dict[tuple[str, str], Recent] = {}

    def add_sample(self, sample: Sample, streams: Collection[str]) -> Conversation[None]:
        """Add a sample; read the history first when a sample was missed.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        # Another sampler may have sampled the same step again, because Redis lost everything.
        if sample.at == self.at and sample.follows:
            return
        if not sample.follows or sample.at != self.at + FINEST.seconds:
            yield from self._load_history(sample.at, sorted(streams))
        else:
            for stream, told in sample.streams.items():
                self._add_values(stream, told, sample.at)
        self.at = sample.at

    def _load_history(self, at: int, streams: list[str]) -> Conversation[None]:
        self.at, self.streams, self.groups = -1, {}, {}
        last = at // FINEST.seconds
        span = Span(resolution=FINEST, first=last - WINDOW // FINEST.seconds + 1, last=last)
        found = yield from history.read_history(streams, span, _SELECTION, now=at)
        for stream, rows in found.streams.items():
            for key, row in rows.items():
                self._load_row(stream, key, row, at)

    def _load_row(self, stream: str, key: Key, row: Row, at: int) -> None:
        each = BY_NUMBER[key.number]
        if each.kind == "gauge":
            if row[-1] is not None:
                self._recent_of(stream, key.group).gauges[each.name] = each.from_stored(row[-1])
            return
        first = at - (len(row) - 1) * FINEST.seconds
        for place, grown in enumerate(row):
            if grown:
                self._recent_of(stream, key.group).add_growth(
                    each.name, first + place * FINEST.seconds, grown, key.label
                )

    def _recent_of(self, stream: str, group: str) -> Recent:
        if group:
            return self.groups.setdefault((stream, group), Recent())
        return self.streams.setdefault(stream, Recent())

    def _add_values(self, stream: str, told: Mapping[str, Any], at: int) -> None:
        if told.keys() != {"groups"}:
            self._set_values(self._recent_of(stream, ""), told, at)
        for group, values in told.get("groups", {}).items():
            recent = self._recent_of(stream, group)
            self._set_values(recent, values, at)
            if not recent.gauges:
                # The group was deleted: an existing group has a number of events in flight, even if it is 0.
                del self.groups[stream, group]

    @staticmethod
    def _set_values(recent: Recent, told: Mapping[str, Any], at: int) -> None:
        for name, value in told.items():
            if name in _GAUGE_NAMES:
                if value is None:
                    recent.gauges.pop(name, None)
                else:
                    recent.gauges[name] = value
            elif name in _COUNTER_NAMES:
                for label, grown in value.items() if isinstance(value, dict) else (("", value),):
                    recent.add_growth(name, at, grown, label)
