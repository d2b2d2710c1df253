"""The health of streams: their last hour as rows for charts, and findings that need a person's attention."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from synapse.inspection.groups import Owner
from synapse.redis import Conversation, together
from synapse.statistics import history, series, totals
from synapse.statistics.health import Health, health_of
from synapse.statistics.history import History, KeptHistory
from synapse.statistics.rows import Row, Rows, Span
from synapse.statistics.series import BY_NUMBER, Key, Selection, select
from synapse.statistics.storage import ALL_STREAMS, RESOLUTIONS

_FINE, _MINUTES = RESOLUTIONS[:2]
# The seconds for which a failure or refusal counts as current, and the seconds that a trend covers.
RECENT = 120
HOUR = 3_600
# The age of the oldest unread event in seconds from which on a group is behind.
LATE = 60
_OF_HOUR = select(
    *(series.PUBLISHED, series.REFUSED, series.LENGTH, series.LAG_SECONDS, series.DEAD),
    *(series.ACKNOWLEDGED, series.LOST, series.FAILED),
)
_OF_MINUTES = Selection(_OF_HOUR.numbers | {series.FAILURES.number, series.LAG_EVENTS.number})
_TOTALS = select(*totals.COUNTERS, *totals.GAUGES)

Kind = Literal["full", "failing", "dead", "lost", "lagging", "refusing"]
# The order of urgency: events that are refused or lost, then events that are late, then single events that fail.
URGENCY: tuple[Kind, ...] = ("full", "failing", "lost", "dead", "lagging", "refusing")
# The kind of problem that a series shows, by the number of the series.
_KINDS: dict[int, Kind] = {
    series.FAILED.number: "failing",
    series.LOST.number: "lost",
    series.DEAD.number: "dead",
    series.LAG_SECONDS.number: "lagging",
    series.REFUSED.number: "refusing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem of a stream or group.

    Attributes:
        kind: the kind of problem.
        stream: the stream.
        group: the group, "" for the stream itself.
        label: a detail: the reason of refusals, or the most frequent kind of failure.
        amount: the number of events; for `lagging` the age of the oldest unread event in seconds.
        since: when the problem began within the last hour, in seconds since 1970.
        trend: for `lagging`, how the backlog develops.
    """

    kind: Kind
    stream: str
    group: str = ""
    label: str = ""
    amount: float = 0
    since: int = 0
    trend: str = ""

    @property
    def health(self) -> Health:
        """The health of the stream or group with this problem."""
        is_late = self.kind in ("dead", "lagging")
        return health_of(fails=not is_late, degraded=is_late)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHistory:
    """The last hour of a stream with a value for each minute, and its last two minutes with a value for each five
    seconds.
    """

    hour: Rows
    recent: Rows
    hour_begins: int
    recent_begins: int

    def total(self, each: series.Series) -> Row:
        """Return the sum over groups and labels for each minute; None without a sample."""
        return add_rows(row for key, row in self.hour.items() if key.number == each.number)

    def highest(self, each: series.Series) -> Row:
        """Return the highest value over groups for each minute."""
        return highest_of(row for key, row in self.hour.items() if key.number == each.number)

    def rate(self, each: series.Series) -> float | None:
        """Return the events per second over the last samples, None without a sample."""
        values = add_rows(row for key, row in self.recent.items() if key.number == each.number)[-6:]
        known = [value for value in values if value is not None]
        return sum(known) / (len(known) * _FINE.seconds) if known else None

    def growth(self, key: Key) -> int:
        """Return the growth of a counter over all of this time. The samples complete the last minute, which is not
        over.
        """
        minutes = self.hour.get(key, [])
        known_until = self.hour_begins + len(minutes) * _MINUTES.seconds
        samples = self.recent.get(key, [])[max(0, known_until - self.recent_begins) // _FINE.seconds :]
        return sum(filter(None, (*minutes, *samples)))

    @property
    def published_rate(self) -> float | None:
        """The published events per second over the last samples."""
        return self.rate(series.PUBLISHED)

    @property
    def lag_seconds(self) -> float | None:
        """The lag of the slowest group in seconds, None without a group."""
        found = self.last(series.LAG_SECONDS).values()
        return max(found) / series.LAG_SECONDS.scale if found else None

    @property
    def lag_events(self) -> int:
        """The lag in events of the group that is furthest behind."""
        return max(self.last(series.LAG_EVENTS).values(), default=0)

    def last(self, each: series.Series) -> dict[str, int]:
        """Return the newest stored value of each group ("" for the stream itself)."""
        found: dict[str, int] = {}
        for key, row in self.recent.items():
            if key.number == each.number:
                newest = row[-1] if row[-1] is not None else next(filter(_is_known, reversed(row)), None)
                if newest is not None:
                    found[key.group] = max(found.get(key.group, 0), newest)
        return found


def _is_known(value: int | None) -> bool:
    return value is not None


def read_histories(
    streams: Sequence[str], *, now: int | None = None, with_hour: bool = True
) -> Conversation[dict[str, StreamHistory]]:
    """Read the last hour of streams with their groups, or only the last two minutes without `with_hour`.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    if not streams:
        return {}
    now = int(time.time()) if now is None else now
    hour, recent = _span_until(now, _MINUTES.seconds, HOUR), _span_until(now, _FINE.seconds, RECENT)
    asked = {"recent": history.read_history(streams, recent, _OF_MINUTES, now=now, kept=_minutes)}
    if with_hour:
        asked["hour"] = history.read_history(streams, hour, _OF_HOUR, now=now, kept=_hours, instead=hour.earlier)
    found = yield from together(asked, failures=())
    of_hour = found["hour"] if with_hour else History(span=hour, streams={})
    return {
        stream: StreamHistory(
            hour=of_hour.streams.get(stream, {}),
            recent=found["recent"].streams[stream],
            hour_begins=of_hour.span.begins,
            recent_begins=recent.begins,
        )
        for stream in streams
    }


def read_totals(*, now: int | None = None) -> Conversation[dict[str, StreamHistory]]:
    """Read the last hour of all streams with samples in it, without their groups.

    Each series is the total over groups and labels; lags are the highest of the groups.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    now = int(time.time()) if now is None else now
    hour, recent = _span_until(now, _MINUTES.seconds, HOUR), _span_until(now, _FINE.seconds, RECENT)
    asked = {
        "recent": history.read_history([ALL_STREAMS], recent, _TOTALS, now=now, kept=_recent_totals),
        "hour": history.read_history([ALL_STREAMS], hour, _TOTALS, now=now, kept=_totals, instead=hour.earlier),
    }
    found = yield from together(asked, failures=())
    of_hour, of_recent = (_by_stream(found[name].streams[ALL_STREAMS]) for name in ("hour", "recent"))
    return {
        stream: StreamHistory(
            hour=of_hour.get(stream, {}),
            recent=of_recent.get(stream, {}),
            hour_begins=found["hour"].span.begins,
            recent_begins=recent.begins,
        )
        for stream in {**of_hour, **of_recent}
    }


def _by_stream(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for key, row in rows.items():
        found.setdefault(key.group, {})[Key(key.number)] = row
    return found


# The hour changes once a minute, and pages request it with each sample. The cache has 10 MB at most.
_hours, _minutes = KeptHistory(1_000_000), KeptHistory(1_000_000)
_totals, _recent_totals = KeptHistory(1_000_000), KeptHistory(1_000_000)


def _span_until(now: int, step: int, seconds: int) -> Span:
    """Return the range of complete steps that ends now."""
    resolution = next(each for each in RESOLUTIONS if each.seconds == step)
    last = now // step - 1
    return Span(resolution=resolution, first=last - seconds // step + 1, last=last)


def find_attention(
    histories: Mapping[str, StreamHistory], *, hard_lengths: Mapping[str, int], rejecting: Collection[str] = ()
) -> list[Finding]:
    """Return the problems of streams that need attention, the most urgent first.

    Args:
        histories: the last hour of each stream.
        hard_lengths: the length at which each stream is full, by its name.
        rejecting: the streams that refuse events when they are full.
    """
    found: list[Finding] = []
    for stream, past in histories.items():
        length = past.last(series.LENGTH).get("", 0)
        if stream in rejecting and length >= hard_lengths[stream]:
            since = _began_at(past, Key(series.LENGTH.number), least=hard_lengths[stream])
            found.append(Finding(kind="full", stream=stream, amount=length, since=since))
        found += filter(None, (_finding_of(stream, past, key, row) for key, row in past.recent.items()))
    return sorted(found, key=lambda one: (URGENCY.index(one.kind), -one.amount, one.stream, one.group))


def read_failures(streams: Sequence[str], *, now: int | None = None) -> Conversation[dict[tuple[str, str], int]]:
    """Read the number of recently failed attempts, by stream and group. Groups without failures are left out.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    if not streams:
        return {}
    now = int(time.time()) if now is None else now
    recent = _span_until(now, _FINE.seconds, RECENT)
    found = yield from history.read_history(streams, recent, select(series.FAILED), now=now)
    failed = {
        (stream, key.group): sum(filter(None, row))
        for stream, rows in found.streams.items()
        for key, row in rows.items()
    }
    return {place: count for place, count in failed.items() if count}


def read_trend(stream: str, group: str, *, now: int) -> Conversation[str]:
    """Read a description of how a group's backlog develops, as from `describe_trend`; "" without samples.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    backlog = (series.LAG_EVENTS, series.IN_FLIGHT, series.SCHEDULED, series.BLOCKED)
    recent = _span_until(now, _FINE.seconds, RECENT)
    found = yield from history.read_history([stream], recent, select(*backlog, group=group), now=now)
    row = add_rows(found.streams[stream].values())
    last = next((value for value in reversed(row) if value is not None), 0)
    return describe_trend(row, _FINE.seconds) if last else ""


def _finding_of(stream: str, past: StreamHistory, key: Key, row: Row) -> Finding | None:
    """Return the problem that one series of a stream shows, None without a problem."""
    kind, amount, trend = _KINDS.get(key.number), 0.0, ""
    if kind is None:
        return None
    if not any(row) and kind != "lost":
        return None
    values = [value for value in row if value is not None]
    each = BY_NUMBER[key.number]
    if kind in ("failing", "refusing"):
        amount = sum(values)
    elif kind == "lost":
        amount = past.growth(key)
    elif kind == "dead" and values:
        amount = values[-1]
    elif kind == "lagging" and values and values[-1] / each.scale > LATE:
        amount = values[-1] / each.scale
        trend = describe_trend(past.recent.get(Key(series.LAG_EVENTS.number, key.group), row), _FINE.seconds)
    if not amount:
        return None
    # Lost events do not come back: the loss is shown for an hour from its beginning.
    since = _began_at(past, key, quiet_ends=kind != "lost")
    label = _commonest_failure(past, key.group) if kind == "failing" else key.label
    return Finding(kind=kind, stream=stream, group=key.group, label=label, amount=amount, since=since, trend=trend)


def _commonest_failure(past: StreamHistory, group: str) -> str:
    counts = {
        key.label: sum(filter(None, row))
        for key, row in past.recent.items()
        if key.number == series.FAILURES.number and key.group == group
    }
    return max(counts, key=counts.__getitem__, default="")


def _began_at(past: StreamHistory, key: Key, *, least: int = 1, quiet_ends: bool = True) -> int:
    """Return the time since when a series has been `least` or more. With `quiet_ends`, two lower values end that
    time.
    """
    return (
        _find_begin(past.hour.get(key, []), past.hour_begins, _MINUTES.seconds, least=least, quiet_ends=quiet_ends)
        or _find_begin(past.recent.get(key, []), past.recent_begins, _FINE.seconds, least=least, quiet_ends=quiet_ends)
        or past.recent_begins
    )


def _find_begin(row: Row, begins: int, step: int, *, least: int = 1, quiet_ends: bool = True) -> int | None:
    since = None
    quiet = 0
    for place in range(len(row) - 1, -1, -1):
        value = row[place]
        if value is None:
            # A gap is no evidence.
            continue
        if value >= least:
            since, quiet = begins + place * step, 0
        elif (quiet := quiet + 1) == 2 and quiet_ends:
            break
    return since


def group_health(owner: Owner | None, *, failed: int, lag_seconds: float, dead: int, waiting: int) -> Health:
    """Return the health of a group.

    Args:
        owner: the owner of the group; None for a group of another program.
        failed: the recently failed attempts, as from `read_failures`.
        lag_seconds: the age of the group's oldest unread event.
        dead: the number of its dead letters.
        waiting: the number of its events that are scheduled for retry.
    """
    return health_of(
        stopped=owner is not None and not owner.enabled,
        paused=owner is not None and owner.paused,
        fails=failed > 0,
        degraded=lag_seconds > LATE or dead > 0 or waiting > 0,
    )


def describe_trend(row: Row, step: int) -> str:
    """Describe how a backlog develops: steady, rising, or draining with the time until it is empty.

    Args:
        row: the number of its events at each step; None without a sample.
        step: the seconds between two values.
    """
    known = [(place, value) for place, value in enumerate(row) if value is not None]
    if len(known) < 2:  # two points define a line
        return ""
    (first, before), (last, now) = known[0], known[-1]
    slope = (now - before) / ((last - first) * step)
    if abs(now - before) <= max(1, before // 200):
        return "steady"
    if slope > 0:
        return "rising"
    seconds = round(now / -slope)
    return f"draining: empty in {seconds} s" if seconds < 120 else f"draining: empty in {seconds // 60} min"


# The trend compares the mean of this many last values with the mean of the values before.
_COMPARED = 10


def describe_course(row: Sequence[float | None]) -> str:
    """Return one word for the recent development of values: steady, rising or falling; "" with too few samples."""
    last, before = (
        [value for value in part if value is not None] for part in (row[-_COMPARED:], row[-2 * _COMPARED : -_COMPARED])
    )
    if not last or not before:
        return ""
    now, then = sum(last) / len(last), sum(before) / len(before)
    if abs(now - then) <= max(now, then) / 5:
        return "steady"
    return "rising" if now > then else "falling"


def add_rows(rows: Iterable[Row]) -> Row:
    """Return the sums of rows, value by value; None where no row has a value."""
    return _combine(rows, sum)


def highest_of(rows: Iterable[Row]) -> Row:
    """Return the highest of rows, value by value; None where no row has a value."""
    return _combine(rows, max)


def _combine(rows: Iterable[Row], combine: Callable[[Iterable[int]], int]) -> Row:
    found = list(filter(None, rows))
    if len(found) == 1:
        return found[0]
    columns = zip(*found, strict=True)
    if not any(None in row for row in found):
        return list(map(combine, columns))
    sampled = ([one for one in column if one is not None] for column in columns)
    return [combine(column) if column else None for column in sampled]
