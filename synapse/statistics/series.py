"""Every series of the statistics. `SERIES` is the list; the metrics for Prometheus with the same values refer to it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series.

    Attributes:
        number: the id of the series in blocks; never reused for another series.
        name: the name of the series in the API.
        scope: whether each stream, or each group of a stream, has the series.
        kind: `counter` for values that only grow, `gauge` for others.
        unit: the unit of the series' values.
        meaning: one sentence for people.
        source: the fields whose sum the series is, in the Redis hash of the counters of the stream or group; empty
            when it is measured otherwise. With a `label`, the common prefix of those fields; the rest of each name is
            the label.
        metric: the Prometheus metric with the same value; empty for none.
        sum_of: the names of the series that are added up to this series, which is then not stored.
        scale: the stored units in one unit: values are stored as whole numbers.
        is_rounded: whether values are stored with two significant digits, as the position among all such numbers,
            so that a small relative change is a small difference.
        label: the meaning of the label; empty for a series without labels.
    """

    number: int
    name: str
    scope: Literal["stream", "group"]
    kind: Literal["counter", "gauge"]
    unit: str
    meaning: str
    source: tuple[str, ...] = ()
    sum_of: tuple[str, ...] = ()
    metric: str = ""
    scale: int = 1
    is_rounded: bool = False
    label: str = ""

    def to_stored(self, value: float) -> int:
        """Return the whole number that is stored for a value."""
        steps = round(value * self.scale)
        return _place_of(steps) if self.is_rounded else steps

    def from_stored(self, kept: int) -> float:
        """Return the value in its unit for a stored number. A larger number stands for a larger value."""
        if self.is_rounded:
            kept = _number_at(kept)
        return kept if self.scale == 1 else kept / self.scale


# The numbers with two significant digits: those below a hundred, and ninety of each further length.
_SMALL, _OF_LENGTH = 100, 90


def _place_of(number: int) -> int:
    """Return the position of a number among those with two significant digits, after rounding."""
    length = len(str(number)) - 2
    return number if number < _SMALL else _OF_LENGTH * length + round(number / 10**length)


def _number_at(place: int) -> int:
    """Return the number at a position among those with two significant digits."""
    if place < _SMALL:
        return place
    length, further = divmod(place - _SMALL + _OF_LENGTH, _OF_LENGTH)
    return int((further + _SMALL // 10) * 10**length)


class Key(NamedTuple):
    """The key of one series of a stream: its number, its group and its label ("" for none)."""

    number: int
    group: str = ""
    label: str = ""


class Selection(NamedTuple):
    """A selection of the series of a stream: those with one of these numbers, of one of these groups ("" for none) or
    of all.
    """

    numbers: frozenset[int]
    groups: frozenset[str] | None = None

    def has(self, key: Key) -> bool:
        """Say whether a series is selected."""
        return key.number in self.numbers and (self.groups is None or key.group in self.groups)


def select(*some: Series, group: str | None = None) -> Selection:
    """Return a selection of series, of one group or of all."""
    return Selection(frozenset(each.number for each in some), None if group is None else frozenset((group,)))


PUBLISHED = Series(
    number=1,
    name="published",
    scope="stream",
    kind="counter",
    unit="events",
    source=("published",),
    metric="synapse_events_published_total",
    meaning="Events that were stored through Synapse, without entries that other programs write to Redis.",
)
REFUSED = Series(
    number=2,
    name="refused",
    scope="stream",
    kind="counter",
    unit="events",
    source=("refused:",),
    label="reason",
    metric="synapse_events_refused_total",
    meaning="Events that were not stored, by the end of the problem's type, such as `stream-full`.",
)
WARNED = Series(
    number=3,
    name="warned",
    scope="stream",
    kind="counter",
    unit="events",
    source=("warned",),
    metric="synapse_events_warned_total",
    meaning="Published events that break their contract, on streams that only warn. They are in the published ones too."
    "",
)
REPLAYED = Series(
    number=4,
    name="replayed",
    scope="stream",
    kind="counter",
    unit="events",
    source=("duplicates",),
    metric="synapse_events_duplicates_total",
    meaning="Events that were sent again under the same key and are stored once. They are not in the published ones.",
)
UNREGISTERED = Series(
    number=5,
    name="unregistered",
    scope="stream",
    kind="counter",
    unit="events",
    source=("unregistered",),
    metric="synapse_events_unregistered_total",
    meaning="Published events of a type that their stream does not define. They are in the published ones too.",
)
LENGTH = Series(
    number=6,
    name="length",
    scope="stream",
    kind="gauge",
    unit="events",
    metric="synapse_stream_events",
    meaning="Events that the stream holds now.",
)
MEMORY = Series(
    number=7,
    name="memory",
    scope="stream",
    kind="gauge",
    unit="bytes",
    meaning="Memory that Redis uses for the stream, estimated by Redis once a minute.",
)
ADDED = Series(
    number=8,
    name="added",
    scope="stream",
    kind="counter",
    unit="events",
    meaning="Entries that any program appended to the stream. Missing before Redis 7.0.",
)
LAG_EVENTS = Series(
    number=20,
    name="lag_events",
    scope="group",
    kind="gauge",
    unit="events",
    meaning="Events that the group has not read yet.",
)
LAG_SECONDS = Series(
    number=21,
    name="lag_seconds",
    scope="group",
    kind="gauge",
    unit="seconds",
    scale=10,
    metric="synapse_group_lag_seconds",
    meaning="Age of the oldest event that the group has not read yet, 0 when it has read all.",
)
LAG_INEXACT = Series(
    number=22,
    name="lag_inexact",
    scope="group",
    kind="gauge",
    unit="boolean",
    meaning="1 when `lag_events` is an estimate: entries were deleted, or lie too far back to be counted.",
)
IN_FLIGHT = Series(
    number=23,
    name="in_flight",
    scope="group",
    kind="gauge",
    unit="events",
    metric="synapse_group_pending_events",
    meaning="Events that were delivered to the group and not acknowledged yet.",
)
SCHEDULED = Series(
    number=24,
    name="scheduled",
    scope="group",
    kind="gauge",
    unit="events",
    metric="synapse_group_waiting_events",
    meaning="Events that wait to be delivered to the group again, those that are being delivered again included.",
)
BLOCKED = Series(
    number=25,
    name="blocked",
    scope="group",
    kind="gauge",
    unit="events",
    source=("parked",),
    metric="synapse_group_parked_events",
    meaning="Events of an ordered group that were read and wait for another one of their key.",
)
DEAD = Series(
    number=26,
    name="dead",
    scope="group",
    kind="gauge",
    unit="events",
    metric="synapse_group_dead_letters",
    meaning="Dead letters that the group has now.",
)
ACKNOWLEDGED = Series(
    number=27,
    name="acknowledged",
    scope="group",
    kind="counter",
    unit="events",
    source=("done",),
    metric="synapse_group_delivered_total",
    meaning="Events that were delivered to the group and acknowledged.",
)
FILTERED = Series(
    number=28,
    name="filtered",
    scope="group",
    kind="counter",
    unit="events",
    source=("filtered",),
    metric="synapse_group_filtered_total",
    meaning="Events that were acknowledged because the group's bridge does not select them.",
)
RETRIED = Series(
    number=29,
    name="retried",
    scope="group",
    kind="counter",
    unit="attempts",
    source=("retried",),
    metric="synapse_group_retried_total",
    meaning="Attempts that failed, and another one was to follow.",
)
FAILED = Series(
    number=30,
    name="failed",
    scope="group",
    kind="counter",
    unit="attempts",
    sum_of=("retried", "became_dead"),
    meaning="Attempts that failed, whether another one was to follow or the event became a dead letter.",
)
ATTEMPTS = Series(
    number=31,
    name="attempts",
    scope="group",
    kind="counter",
    unit="attempts",
    sum_of=("acknowledged", "retried", "became_dead"),
    meaning="Attempts to deliver an event of which the end is known.",
)
BURIED = Series(
    number=32,
    name="became_dead",
    scope="group",
    kind="counter",
    unit="events",
    source=("dead",),
    metric="synapse_group_dead_total",
    meaning="Events that became dead letters.",
)
REDRIVEN = Series(
    number=33,
    name="redriven",
    scope="group",
    kind="counter",
    unit="events",
    source=("replayed",),
    metric="synapse_group_redriven_total",
    meaning="Dead letters that were sent out again.",
)
LOST = Series(
    number=34,
    name="lost",
    scope="group",
    kind="counter",
    unit="events",
    source=("lost_trimmed", "lost_silent"),
    meaning="Events that were trimmed or deleted before the group acknowledged them.",
)
FAILURES = Series(
    number=35,
    name="failures",
    scope="group",
    kind="counter",
    unit="attempts",
    source=("failed:",),
    label="class",
    metric="synapse_group_failures_total",
    meaning="Attempts that failed, by what kind of failure it was, such as `timeout` or `http-5xx`.",
)
# The numbers 40 to 42 were durations in microseconds.
PUBLISH_SECONDS = Series(
    number=43,
    name="publish_seconds",
    scope="stream",
    kind="gauge",
    unit="seconds",
    scale=1_000_000,
    is_rounded=True,
    label="quantile",
    metric="synapse_publish_seconds",
    meaning="How long requests that publish took, from when they were read until the events were stored.",
)
ATTEMPT_SECONDS = Series(
    number=44,
    name="attempt_seconds",
    scope="group",
    kind="gauge",
    unit="seconds",
    scale=1_000_000,
    is_rounded=True,
    label="quantile",
    metric="synapse_attempt_seconds",
    meaning="How long attempts of the group's bridge to deliver an event took: of its handler, webhook or other sink.",
)
DELIVERED_SECONDS = Series(
    number=45,
    name="delivered_seconds",
    scope="group",
    kind="gauge",
    unit="seconds",
    scale=1_000_000,
    is_rounded=True,
    label="quantile",
    metric="synapse_delivered_seconds",
    meaning="How long it took from the publish of an event until the group's bridge had delivered it.",
)
# By the measured step, with the name that `StreamCounters.observe` takes.
DURATIONS = {"publish": PUBLISH_SECONDS, "attempt": ATTEMPT_SECONDS, "delivered": DELIVERED_SECONDS}
QUANTILES = {"0.5": 0.5, "0.95": 0.95, "0.99": 0.99}
SERIES = (
    *(PUBLISHED, REFUSED, WARNED, REPLAYED, UNREGISTERED, LENGTH, MEMORY, ADDED),
    *(LAG_EVENTS, LAG_SECONDS, LAG_INEXACT, IN_FLIGHT, SCHEDULED, BLOCKED, DEAD),
    *(ACKNOWLEDGED, FILTERED, RETRIED, FAILED, FAILURES, ATTEMPTS, BURIED, REDRIVEN, LOST),
    *(PUBLISH_SECONDS, ATTEMPT_SECONDS, DELIVERED_SECONDS),
)
BY_NUMBER = {series.number: series for series in SERIES}
BY_NAME = {series.name: series for series in SERIES}
# The numbers of the parts of each series that is a sum; and the numbers of the sums that contain each part.
SUMS = {each.number: [BY_NAME[name].number for name in each.sum_of] for each in SERIES if each.sum_of}
SUMS_OF = {part: [number for number, parts in SUMS.items() if part in parts] for some in SUMS.values() for part in some}
# Not shown: counts the rounds of sampling, so that a step without a sample differs from a step without changes.
ROUNDS = Key(1000)
