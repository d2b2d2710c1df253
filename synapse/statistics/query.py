"""`GET /stats`: the requested series over a time range."""

import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from synapse.auth.permission import Requirement, is_visible
from synapse.endpoints import Answer, Call, Example, Query, about, endpoint, maybe
from synapse.errors.streams import UnknownStream
from synapse.inspection.range_query import parse_moment_ms
from synapse.problems import BadParameter
from synapse.redis import Conversation
from synapse.statistics import history, series
from synapse.statistics.rows import Rows, Span
from synapse.statistics.series import BY_NAME, BY_NUMBER, SERIES, Key, Selection, Series
from synapse.statistics.storage import FINEST, RESOLUTIONS

# The values of a series when no step is requested, for one stream and for all streams; and the greatest number of
# values.
USUAL_POINTS, USUAL_POINTS_OF_ALL, MOST_POINTS = 720, 60, 3_000
# The greatest number of values of all series in a response.
MOST_VALUES = 500_000
# The usual greatest number of rows of a stream: of all its own series, and of a series with labels or of its groups.
_USUAL_ROWS, _USUAL_ROWS_OF_ONE = 20, 10
_NICE = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_KEPT = RESOLUTIONS[-1].kept


_MOMENT = (
    "`now`, a time before now such as `-1h`, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
)
_PUBLISHED = {
    "name": "published",
    "stream": "inference-events",
    "kind": "counter",
    "unit": "events",
    "values": [12, None, 14],
}
_ANSWER = {"from": 1764460800, "to": 1764460815, "step": 5, "series": [_PUBLISHED]}


SERIES_PARAMETER: list[str] = about(
    "Only the series of this name; can be given several times.",
    default=[],
    json_schema_extra={"items": {"type": "string", "enum": [each.name for each in SERIES]}},
)


class StatsQuery(Query):
    """The requested series and the time range."""

    repeatable: ClassVar[Collection[str]] = ("series",)
    stream: str = about(
        "The series of this stream and of its groups; without it the streams' own, of all streams.", default=""
    )
    group: str = about("Only those of this group of the stream.", default="")
    begin: str = Field("-1h", alias="from", description=f"The begin of the time range. {_MOMENT}")
    end: str = Field("now", alias="to", description=f"Its end. {_MOMENT}")
    step: str = about(
        "Seconds from one value to the next, or `30s`, `1m`, `2h`, `1d`. Longer ranges have longer ones.", default=""
    )
    series: list[str] = SERIES_PARAMETER


class StreamSeries(Answer):
    """One series of a stream or of one of its groups."""

    name: str
    stream: str
    group: str = maybe("Missing where the series is the stream's own.")
    reason: str = maybe("Of `refused`: the last part of the problem's type.")
    failure: str = maybe("Of `failures`: its class, such as `timeout` or `http-5xx`.", alias="class")
    quantile: str = maybe("Of durations: the share of them that was not longer.")
    exact: bool = maybe("Of `lag_events`: whether no value is an estimate.")
    kind: Literal["counter", "gauge"]
    unit: str
    values: list[float | None] = about("One for each step; null where nothing was sampled.")


class Statistics(Answer):
    """Series over a time range."""

    begin: int = Field(alias="from", description="When the first step begins, in seconds since 1970.")
    end: int = Field(alias="to", description="When the last step ends.")
    step: int = about("Seconds from one value to the next.")
    series: list[StreamSeries]


@endpoint(
    "GET",
    "/stats",
    "Show statistics over time",
    Statistics,
    tag="operations",
    query=StatsQuery,
    problems=[404],
    requires=Requirement(scope="metrics:read"),
    on_event_loop=True,
    examples=[Example("published events", _ANSWER, 200)],
)
def stats(call: Call[StatsQuery, None]) -> Conversation[dict[str, Any]]:
    """Samples of the last 30 days, taken every five seconds. A counter's value is by how much it grew in the step, a
    gauge's is the highest one in it; null where nothing was sampled."""
    streams, wanted = _requested_streams(call), _requested_series(call.query)
    now = int(time.time())
    rows = len(streams) * _usual_rows(call.query.series)
    usual = USUAL_POINTS if call.query.stream else max(1, min(USUAL_POINTS_OF_ALL, MOST_VALUES // max(rows, 1)))
    span = parse_span(call.request.query, now=now, usual=usual)
    # A request for far too much is refused before reading: the numbers of groups and labels are known only afterwards.
    if not call.query.stream and rows * span.points > 2 * MOST_VALUES:
        raise _too_much(rows * span.points)
    found = (yield from history.read_history(streams, span, wanted, now=now)).streams
    values = span.points * sum(map(len, found.values()))
    if values > MOST_VALUES:
        raise _too_much(values)
    return {
        "from": span.begins,
        "to": span.begins + span.points * span.step,
        "step": span.step,
        "series": [each for stream, rows in found.items() for each in series_as_json(stream, rows)],
    }


def series_as_json(stream: str, rows: Rows) -> Iterable[dict[str, Any]]:
    """Yield the series of a stream in the form of the API."""
    for key, row in sorted(rows.items()):
        each = BY_NUMBER[key.number]
        if each is series.LAG_INEXACT:
            continue
        result: dict[str, Any] = {"name": each.name, "stream": stream}
        if each.scope == "group":
            result["group"] = key.group
        if each.label:
            result[each.label] = key.label
        if each is series.LAG_EVENTS:
            result["exact"] = not any(rows.get(Key(series.LAG_INEXACT.number, key.group), ()))
        yield result | {"kind": each.kind, "unit": each.unit, "values": scale_values(each, row)}


def scale_values(each: Series, row: Sequence[int | None]) -> Sequence[float | None]:
    """Return values in the unit of their series."""
    return row if each.scale == 1 else [None if value is None else each.from_stored(value) for value in row]


def parse_span(query: Mapping[str, str], *, now: int, usual: int) -> Span:
    """Parse the parameters `from`, `to` and `step`.

    Args:
        query: the parameters.
        now: the time in seconds since 1970.
        usual: the approximate number of values of each series when no step is requested.

    Raises:
        BadParameter: when one is invalid, or the range is longer than the stored history. The message has the valid
            choices.
    """
    begins, ends = _parse_time(query, "from", "-1h", now), min(_parse_time(query, "to", "now", now), now)
    if begins >= ends:
        raise BadParameter("“from” is not before “to”, or not before now.", parameter="from")
    if now - begins > _KEPT + FINEST.seconds:
        raise BadParameter("Statistics are kept for 30 days. Ask with from=-30d at the earliest.", parameter="from")
    kept = [one for one in RESOLUTIONS if one.kept + FINEST.seconds >= now - begins]
    if text := query.get("step"):
        step = _parse_duration(text) or 0
        fitting = [one for one in kept if step and step % one.seconds == 0]
        if not fitting:
            raise BadParameter(
                f"“step” is a multiple of {kept[0].seconds} s that far back, such as step={kept[0].seconds}s.",
                parameter="step",
            )
        if step > max(ends - begins, kept[0].seconds):
            # All finer steps of such a step would be read, back to its beginning.
            raise BadParameter("“step” is longer than the time from “from” to “to”.", parameter="step")
    else:
        step = next((nice for nice in _NICE if nice * usual >= ends - begins and nice >= kept[0].seconds), _NICE[-1])
        fitting = [one for one in kept if step % one.seconds == 0]
    resolution = fitting[-1]
    points = max((ends - begins) // step, 1)
    if points > MOST_POINTS:
        least = next(nice for nice in _NICE if nice * MOST_POINTS >= ends - begins)
        raise BadParameter(
            f"With this step each series would have {points} values, and {MOST_POINTS} are answered at most. "
            f"Ask with step={least}s, or for a shorter time.",
            parameter="step",
        )
    together = step // resolution.seconds
    last = ends // step * together - 1
    return Span(resolution=resolution, first=last - points * together + 1, last=last, together=together)


def _requested_streams(call: Call[StatsQuery, None]) -> list[str]:
    name, streams = call.query.stream, call.catalog.streams
    if name:
        Requirement(visible=True).demand(call.by, name)
        if name not in streams:
            raise UnknownStream(name)
        return [name]
    if call.query.group:
        raise BadParameter("“group” is a group of one stream. Name it with “stream”.", parameter="group")
    return sorted(each for each in streams if is_visible(call.by.rights, each))


def _usual_rows(names: Collection[str]) -> int:
    """Return the number of rows that a stream has for series with these names, or for all its own series without
    names.
    """
    listed = [BY_NAME[name] for name in set(names)]
    return sum(1 if each.scope == "stream" and not each.label else _USUAL_ROWS_OF_ONE for each in listed) or _USUAL_ROWS


def check_names(names: Iterable[str]) -> None:
    """Check that series with these names exist.

    Raises:
        BadParameter: when a series does not exist.
    """
    if unknown := [name for name in names if name not in BY_NAME]:
        known = ", ".join(BY_NAME)
        raise BadParameter(f"There is no series “{unknown[0][:100]}”. Known are {known}.", parameter="series")


def _requested_series(query: StatsQuery) -> Selection:
    """Return the requested series: the named ones, else all series of one stream, or the streams' own series of all
    streams.
    """
    names = query.series
    check_names(names)
    of_groups = bool(query.stream)
    listed = [BY_NAME[name] for name in names] or [each for each in SERIES if each.scope == "stream" or of_groups]
    if series.LAG_EVENTS in listed:
        listed.append(series.LAG_INEXACT)
    return series.select(*listed, group=query.group or None)


def _parse_time(query: Mapping[str, str], parameter: str, otherwise: str, now: int) -> int:
    """Parse a parameter to a time in seconds since 1970."""
    text = query.get(parameter, "").strip() or otherwise
    if text == "now":
        return now
    if text.startswith("-") and (ago := _parse_duration(text[1:])) is not None:
        return now - ago
    ms = parse_moment_ms(text)
    if ms is None:
        raise BadParameter(
            f"“{parameter}” is now, a time before now such as -1h, milliseconds since 1970, or a time such as "
            "2024-01-15T10:30:00Z.",
            parameter=parameter,
        )
    return ms // 1000


def _parse_duration(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _too_much(values: int) -> BadParameter:
    return BadParameter(
        f"The answer would have some {values} values, and {MOST_VALUES} are answered at most. Name a stream, or fewer "
        "series; ask for a longer step, or for a shorter time.",
        parameter="step",
    )
