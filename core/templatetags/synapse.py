"""Template filters and tags for numbers, times, texts and JSON.

Text from publishers is untrusted: no name or payload may hide text, change its direction or be read as HTML. Templates
escape HTML; these filters write every invisible character as a JSON escape.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import orjson
from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from synapse.formats import exact_json
from synapse.formats.text import link_complaint

register = template.Library()

# Between groups of three digits: narrow, without a line break (ISO 80000-1, 7.3.2).
_THIN_SPACE = "\u202f"
# A page shows at most this many characters of one JSON value: more would slow the browser down.
MOST_JSON = 20_000
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PLAIN_JSON = re.compile(r"[ -~\n]*")


@register.filter
def number(value: Any) -> str:
    """Format a number with grouped digits; None is a dash."""
    if value is None or value == "":
        return "—"
    return f"{value:,}".replace(",", _THIN_SPACE)


@register.filter
def trace_link(trace_id: str) -> str:
    """Format a trace id, as a link to its page in the viewer if SYNAPSE_TRACE_URL is set."""
    if not settings.TRACE_URL:
        return format_html('<span class="s-mono">{}</span>', trace_id)
    url = settings.TRACE_URL.replace("{trace_id}", trace_id)
    return format_html('<a class="s-mono" href="{}" rel="noreferrer">{}</a>', url, trace_id)


@register.filter
def ago(at: datetime | None) -> str:
    """Format how long ago a moment was, in the largest unit. Up to five seconds ahead is “now”, because clocks
    differ.
    """
    if at is None:
        return "never"
    return span((timezone.now() - at).total_seconds(), past=True)


def span(seconds: float, *, past: bool = False) -> str:
    """Format a length of time in seconds in the largest unit, such as “3 h”; with `past`, as “3 h ago”."""
    length = abs(seconds)
    if length < 1 or (past and -5 < seconds < 0):
        return "now" if past else "0 s"
    size, unit = next((size, unit) for size, unit in _STEPS if length >= size)
    text = f"{number(int(length // size))}{_THIN_SPACE}{unit}"
    return text if not past else f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def seconds(value: float | None) -> str:
    """Format a length of time in seconds; None is a dash."""
    return "—" if value is None else span(value)


@register.filter
def moment(at: datetime | None) -> str:
    """Format how long ago a moment was, with the exact time in UTC as a tooltip."""
    if at is None:
        return "never"
    exact = at.astimezone(UTC)
    shown = exact.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00") + " UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', exact.isoformat(), shown, ago(at))


@register.filter
def moment_of_ms(ms: int | None) -> datetime | None:
    """Convert milliseconds since 1970 to a datetime. None for 0, and for a year that datetime does not support."""
    if not ms:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        return None


@register.filter
def moment_of_seconds(seconds: float) -> datetime:
    """Convert seconds since 1970 to a datetime."""
    return datetime.fromtimestamp(seconds, UTC)


@register.filter
def moment_of_id(id_: str | None) -> datetime | None:
    """Return the time in an entry id."""
    return moment_of_ms(int((id_ or "0").partition("-")[0]))


@register.filter
def clock(at: datetime | None) -> str:
    """Format a moment in UTC to the millisecond, with the date if it is not today."""
    if at is None:
        return "—"
    exact = at.astimezone(UTC)
    form = "%H:%M:%S" if exact.date() == timezone.now().date() else "%Y-%m-%d %H:%M:%S"
    return f"{exact.strftime(form)}.{exact.microsecond // 1000:03}"


@register.filter
def clock_time(at: datetime | None) -> str:
    """Format a moment as `clock` does, in an element that `admin.js` converts to the browser's time zone."""
    if at is None:
        return "—"
    exact = at.astimezone(UTC)
    shown = exact.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00") + " UTC"
    part = f".{exact.microsecond // 1000:03}"
    return format_html(
        '<time datetime="{}" title="{}" data-clock="{}">{}</time>', exact.isoformat(), shown, part, clock(at)
    )


@register.simple_tag
def querystring_of(query: Mapping[str, str]) -> str:
    """Return a URL's query string for the parameters."""
    return urlencode(query)


@register.simple_tag
def sparkline(values: Sequence[float | None], label: str, marks: Sequence[float] = ()) -> str:
    """Draw values as a small line chart, with a gap where a value is None (not sampled).

    Args:
        values: from the oldest to the newest.
        label: what the chart shows, for screen readers and as a tooltip.
        marks: the positions, in units of values, at which a definition was changed.
    """
    return _draw_sparkline(tuple(values), label, tuple(marks))


# In tenths of a pixel.
_WIDTH, _HEIGHT, _MARGIN = 1_200, 280, 20


# Cached, because a page of many streams is rendered with each sample while most of its charts have one value a minute.
# At a full minute all of them are drawn again, so drawing has to be cheap.
@lru_cache(maxsize=500)
def _draw_sparkline(values: Sequence[float | None], label: str, marks: Sequence[float]) -> str:
    highest = max(filter(None, values), default=1)
    lines = []
    begin = 0
    for run in _split_at_gaps(values):
        if run:
            lines.append(_points_of(run, begin, len(values), (_HEIGHT - 2 * _MARGIN) / highest))
        begin += len(run) + 1
    paths = []
    for line in lines:
        text, (first, _, _), (last, _, _) = " ".join(line), line[0].partition(","), line[-1].partition(",")
        paths += [("area", f"M{first},{_HEIGHT} {text} {last},{_HEIGHT}Z"), ("line", f"M{text}")]
    places = _x_positions(len(values))
    paths += [("mark", f"M{places[int(place)]},0V{_HEIGHT}") for place in marks if place < len(values)]
    drawn = format_html_join("", '<path class="s-spark-{}" d="{}"/>', paths)
    return format_html("{}{}</svg>", _opening_tag(label), drawn)


def _split_at_gaps(values: Sequence[float | None]) -> Sequence[Sequence[float]]:
    """Return the runs of values between gaps. Two adjacent gaps have an empty run between them."""
    if None not in values:
        return [values]  # type: ignore[list-item]  # there is no None among them
    runs: list[list[float]] = [[]]
    for value in values:
        if value is None:
            runs.append([])
        else:
            runs[-1].append(value)
    return runs


def _points_of(run: Sequence[float], begin: int, count: int, scale: float) -> list[str]:
    """Return the points of a run of values that begins at index `begin` of `count` values."""
    floor = _HEIGHT - _MARGIN
    heights = [floor - round(scale * value) for value in run]
    places = _x_positions(count)[begin : begin + len(run)]
    if len(run) == 1:
        # A single value between two gaps is drawn as a short line, because a point would be invisible.
        half = round(_WIDTH / max(count - 1, 1) / 2)
        return [f"{places[0] - half},{heights[0]}", f"{places[0] + half},{heights[0]}"]
    # The inner points of a horizontal part are left out.
    return [
        f"{x},{y}"
        for x, before, y, after in zip(places, [None, *heights], heights, [*heights[1:], None], strict=False)
        if not before == y == after
    ]


@lru_cache(maxsize=100)
def _x_positions(count: int) -> Sequence[int]:
    """Return the x positions of `count` values, from left to right."""
    return [round(place * _WIDTH / max(count - 1, 1)) for place in range(count)]


@lru_cache(maxsize=100)
def _opening_tag(label: str) -> str:
    return format_html(
        '<svg class="s-spark" viewBox="0 0 {} {}" width="120" height="28" preserveAspectRatio="none" role="img" '
        'aria-label="{label}"><title>{label}</title>',
        _WIDTH,
        _HEIGHT,
        label=label,
    )


_BADGES = {"healthy": " s-ok", "failing": " s-bad", "degraded": " s-warn", "paused": " s-warn"}


@register.simple_tag
def health_badge(health: str, title: str = "") -> str:
    """Format a health status (`synapse.statistics.health`) as a badge. `title` is a tooltip with the reason."""
    why = format_html(' title="{}"', visible(title)) if title else ""
    return format_html('<span class="s-badge{}"{}>{}</span>', _BADGES.get(health, ""), why, health)


@register.filter
def rate(value: float | None) -> str:
    """Format a rate in events per second; None is a dash."""
    if value is None:
        return "—"
    return number(round(value)) if value >= 10 or value == 0 else f"{value:.1f}"


@register.filter
def is_link(text: str) -> bool:
    """Say whether a text is an http or https URL. Only these are shown as links."""
    return not link_complaint(text)


@register.filter
def pairs(named: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the names and values of a mapping. In a template, `.items` would look up the name “items”."""
    return list(named.items())


@register.filter
def visible(text: Any) -> str:
    """Escape invisible characters of a text, such as ESC and direction marks, as in JSON."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in shown)


@register.filter
def visible_lines(text: Any) -> str:
    """Escape invisible characters of a text, except for line breaks."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


@register.filter
def json_text(value: Any) -> str:
    """Format a value as indented JSON with invisible characters escaped."""
    text = exact_json.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if _PLAIN_JSON.fullmatch(text):
        return text
    return visible_lines(text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    # JSON escapes characters beyond the Basic Multilingual Plane as a surrogate pair (RFC 8259, 7).
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
