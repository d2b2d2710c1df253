"""How pages show numbers, times, texts and JSON.

What publishers wrote is data: no name or payload can hide text, turn its direction or be read as HTML. Templates
escape; here everything that does not simply show as a character is written as JSON would escape it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from django import template
from django.utils import timezone
from django.utils.html import format_html

from synapse.formats import exact_json

register = template.Library()

# Between groups of three digits: narrow, and no place to break a line (ISO 80000-1, 7.3.2).
_THIN_SPACE = "\u202f"
# A page shows no more of one JSON value: the rest costs the reader's browser more than it tells.
MOST_JSON = 20_000
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PLAIN_JSON = re.compile(r"[ -~\n]*")


@register.filter
def number(value: Any) -> str:
    """Return a number with its digits in groups; nothing is a dash."""
    if value is None or value == "":
        return "—"
    return f"{value:,}".replace(",", _THIN_SPACE)


@register.filter
def ago(at: datetime | None) -> str:
    """Return how long ago a moment was, in its largest unit; what is to come within seconds is now."""
    if at is None:
        return "never"
    return span((timezone.now() - at).total_seconds(), past=True)


def span(seconds: float, *, past: bool = False) -> str:
    """Return a length of time in its largest unit."""
    length = abs(seconds)
    if length < 1 or (past and -5 < seconds < 0):
        return "now" if past else "0 s"
    size, unit = next((size, unit) for size, unit in _STEPS if length >= size)
    text = f"{number(int(length // size))}{_THIN_SPACE}{unit}"
    return text if not past else f"{text} ago" if seconds > 0 else f"in {text}"


@register.filter
def seconds(value: float | None) -> str:
    """Return a length of time in seconds as a person reads it; nothing is a dash."""
    return "—" if value is None else span(value)


@register.filter
def moment(at: datetime | None) -> str:
    """Return how long ago a moment was, with the exact time beside it."""
    if at is None:
        return "never"
    exact = at.astimezone(UTC)
    shown = exact.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00") + " UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', exact.isoformat(), shown, ago(at))


@register.filter
def moment_of_ms(ms: int | None) -> datetime | None:
    """Return the moment of an entry id's first half; None for what is no time that a calendar has."""
    if not ms:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        return None


@register.filter
def moment_of_id(id_: str | None) -> datetime | None:
    """Return the moment that an entry id names."""
    return moment_of_ms(int((id_ or "0").partition("-")[0]))


@register.filter
def clock(at: datetime | None) -> str:
    """Return a moment to the millisecond: the day too when it is not today's."""
    if at is None:
        return "—"
    exact = at.astimezone(UTC)
    form = "%H:%M:%S" if exact.date() == timezone.now().date() else "%Y-%m-%d %H:%M:%S"
    return f"{exact.strftime(form)}.{exact.microsecond // 1000:03}"


@register.simple_tag
def querystring_of(query: Mapping[str, str], *without: str) -> str:
    """Return the query of an address, without some of its parameters."""
    return urlencode({name: text for name, text in query.items() if name not in without})


@register.inclusion_tag("core/sparkline.html")
def sparkline(values: Sequence[float | None], label: str) -> dict[str, Any]:
    """Draw a row of values as a small chart; where a value is None, nothing was sampled, and there is a gap.

    Args:
        values: from the oldest to the newest.
        label: what the chart shows, for screen readers and as a tooltip.
    """
    width, height = 120, 28
    highest = max((value for value in values if value is not None), default=0) or 1
    step = width / max(len(values) - 1, 1)
    runs: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.1f},{height - 2 - (height - 4) * value / highest:.1f}")
    drawn = [run if len(run) > 1 else run * 2 for run in runs if run]
    return {
        "label": label,
        "width": width,
        "height": height,
        "lines": [f"M{' L'.join(run)}" for run in drawn],
        "areas": [
            f"M{run[0].split(',')[0]},{height} L{' L'.join(run)} L{run[-1].split(',')[0]},{height} Z" for run in drawn
        ],
    }


def _x(point: str) -> str:
    return point.partition(",")[0]


@register.filter
def rate(value: float | None) -> str:
    """Return events a second as a person reads it; nothing is a dash."""
    if value is None:
        return "—"
    return number(round(value)) if value >= 10 or value == 0 else f"{value:.1f}"


@register.filter
def visible(text: Any) -> str:
    """Return a text in which every character shows: ESC, marks of direction and the like as JSON would escape them."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in shown)


@register.filter
def visible_lines(text: Any) -> str:
    """Return a text of several lines in which every character shows."""
    return "\n".join(visible(line) for line in str(text).split("\n"))


@register.filter
def json_text(value: Any) -> str:
    """Return a value as indented JSON in which every character shows."""
    text = exact_json.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if _PLAIN_JSON.fullmatch(text):
        return text
    return visible_lines(text)


@register.filter
def json_start(value: Any) -> str:
    """Return the beginning of the JSON text, as much of it as a page shows."""
    return json_text(value)[:MOST_JSON]


@register.filter
def json_is_cut(value: Any) -> bool:
    """Say whether `json_start` leaves something out."""
    return len(json_text(value)) > MOST_JSON


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    # JSON escapes what lies beyond the first plane as two halves (RFC 8259, 7).
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
