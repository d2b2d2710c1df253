"""`GET /stats`: which series over which time range, and the answer."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from synapse.auth.permission import demand_scope
from synapse.catalog.stream_definitions import Snapshot
from synapse.http.exchange import Request, Response, json_response
from synapse.inspection.range_query import asked_moment, check_parameters
from synapse.inspection.streams import is_visible, visible_name
from synapse.problems import BadParameter
from synapse.redis import Conversation
from synapse.statistics import history, series
from synapse.statistics.history import Rows, Span
from synapse.statistics.series import BY_NAME, BY_NUMBER, SERIES, Key, Series
from synapse.statistics.storage import FINEST, RESOLUTIONS

SCOPE = "metrics:read"
# Values that a series has, unless a step is asked for: of one stream, and of all streams; and those it has at most.
USUAL_POINTS, USUAL_POINTS_OF_ALL, MOST_POINTS = 720, 60, 3_000
# Values of all series of an answer at most.
MOST_VALUES = 500_000
_NICE = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_KEPT = RESOLUTIONS[-1].kept


def stats(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /stats`.

    Raises:
        BadParameter: when a parameter cannot be used, or asks for too much; it says what can be asked.
        Forbidden: when the caller has not the scope, or may not see the stream.
        UnknownStream: when none of this name is defined.
        Unavailable: when Redis cannot be used.
    """
    demand_scope(request.principal, SCOPE)
    check_parameters(request, "stream", "group", "from", "to", "step", "series", repeatable=["series"])
    streams = _streams(request, catalog)
    wanted = _wanted(request)
    now = int(time.time())
    span = asked_span(request.query, now=now, usual=USUAL_POINTS if "stream" in request.query else USUAL_POINTS_OF_ALL)
    found: dict[str, Rows] = {}
    if len(streams) * span.points > MOST_VALUES // 10:
        raise _too_much(len(streams) * span.points * 10)
    found = yield from history.read(streams, span, wanted, now=now)
    values = span.points * sum(map(len, found.values()))
    if values > MOST_VALUES:
        raise _too_much(values)
    return json_response(
        {
            "from": span.begins,
            "to": span.begins + span.points * span.step,
            "step": span.step,
            "series": [each for stream, rows in found.items() for each in shown(stream, rows)],
        }
    )


def shown(stream: str, rows: Rows) -> Iterable[dict[str, Any]]:
    """Yield the series of a stream as the API shows them."""
    for key, row in sorted(rows.items()):
        each = BY_NUMBER[key.number]
        if each is series.LAG_INEXACT:
            continue
        told: dict[str, Any] = {"name": each.name, "stream": stream}
        if each.scope == "group":
            told["group"] = key.group
        if each.label:
            told[each.label] = key.label
        if each is series.LAG_EVENTS:
            told["exact"] = not any(rows.get(Key(series.LAG_INEXACT.number, key.group), ()))
        yield told | {"kind": each.kind, "unit": each.unit, "values": scaled(each, row)}


def scaled(each: Series, row: Sequence[int | None]) -> Sequence[float | None]:
    """Return values in the unit of their series."""
    return row if each.scale == 1 else [None if value is None else value / each.scale for value in row]


def asked_span(query: Mapping[str, str], *, now: int, usual: int) -> Span:
    """Return the time range and the step that `from`, `to` and `step` ask for.

    Args:
        query: the parameters.
        now: the time in seconds since 1970.
        usual: how many values each series has about when no step is asked for.

    Raises:
        BadParameter: when one cannot be used, or the range is longer than what is kept; it says what can be asked.
    """
    begins, ends = _moment(query, "from", "-1h", now), min(_moment(query, "to", "now", now), now)
    if begins >= ends:
        raise BadParameter("“from” is not before “to”, or not before now.", parameter="from")
    if now - begins > _KEPT + FINEST.seconds:
        raise BadParameter("Statistics are kept for 30 days. Ask with from=-30d at the earliest.", parameter="from")
    kept = [one for one in RESOLUTIONS if one.kept + FINEST.seconds >= now - begins]
    if text := query.get("step"):
        step = _duration(text) or 0
        fitting = [one for one in kept if step and step % one.seconds == 0]
        if not fitting:
            raise BadParameter(
                f"“step” is a multiple of {kept[0].seconds} s that far back, such as step={kept[0].seconds}s.",
                parameter="step",
            )
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


def _streams(request: Request, catalog: Snapshot) -> list[str]:
    if "stream" in request.query:
        return [visible_name(request, request.query["stream"], catalog).name]
    if "group" in request.query:
        raise BadParameter("“group” is a group of one stream. Name it with “stream”.", parameter="group")
    return sorted(name for name in catalog.streams if is_visible(request.principal.rights, name))


def _wanted(request: Request) -> Callable[[Key], bool]:
    """Return what says which series are asked for: those named; else all of a stream, or the streams' own of all."""
    names = request.values("series")
    if unknown := [name for name in names if name not in BY_NAME]:
        known = ", ".join(BY_NAME)
        raise BadParameter(f"There is no series “{unknown[0][:100]}”. Known are {known}.", parameter="series")
    of_groups = "stream" in request.query
    listed = [BY_NAME[name] for name in names] or [each for each in SERIES if each.scope == "stream" or of_groups]
    numbers = {each.number for each in listed}
    if series.LAG_EVENTS in listed:
        numbers.add(series.LAG_INEXACT.number)
    group = request.query.get("group")
    if group is None:
        return lambda key: key.number in numbers
    return lambda key: key.number in numbers and key.group == group


def _moment(query: Mapping[str, str], parameter: str, otherwise: str, now: int) -> int:
    """Return the moment that a parameter names, in seconds since 1970."""
    text = query.get(parameter, "").strip() or otherwise
    if text == "now":
        return now
    if text.startswith("-") and (ago := _duration(text[1:])) is not None:
        return now - ago
    ms = asked_moment(text)
    if ms is None:
        raise BadParameter(
            f"“{parameter}” is now, a time before now such as -1h, milliseconds since 1970, or a time such as "
            "2024-01-15T10:30:00Z.",
            parameter=parameter,
        )
    return ms // 1000


def _duration(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def _too_much(values: int) -> BadParameter:
    return BadParameter(
        f"The answer would have some {values} values, and {MOST_VALUES} are answered at most. Name a stream or series, "
        "ask for a longer step, or for a shorter time.",
        parameter="step",
    )
