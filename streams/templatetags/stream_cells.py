"""Cells of lists and pages about streams. They are formatted in Python, because a page has hundreds of them and
templates are slower.
"""

from functools import lru_cache
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core.templatetags.synapse import health_badge, number, seconds, visible
from streams.models import Stream
from synapse.formats.text import plural
from synapse.inspection.stream_stats import Activity
from synapse.statistics.health import Health

register = template.Library()
NOTHING = "—"


@register.simple_tag
def stream_length(stream: Stream, overview: Activity | None) -> str:
    """Return the number of events in a stream, with a badge when it is full."""
    if overview is None:
        return NOTHING
    length = overview.figures.length
    if length < stream.hard_length:
        return number(length)
    rejects = stream.when_full == "reject"
    return format_html(
        '{} <span class="s-badge {}" title="It holds {} events, its hard length: {}.">full</span>',
        number(length),
        "s-bad" if rejects else "s-warn",
        number(stream.hard_length),
        "publishes are refused until some are dropped" if rejects else "the oldest are dropped, even unread ones",
    )


@register.simple_tag
def refused_count(overview: Activity | None) -> str:
    """Return the number of refused events, with the reasons as a tooltip."""
    if overview is None:
        return NOTHING
    reasons = overview.figures.refused_by_reason
    count = number(overview.figures.counters["refused"])
    told = ", ".join(f"{reason} {number(times)}" for reason, times in reasons.items())
    return format_html('<span title="{}">{}</span>', told, count) if told else count


@register.simple_tag
def sampled_lag(length: float | None, events: int) -> str:
    """Return the sampled lag of the slowest group: the age of its oldest unread event in seconds, and its unread
    events.
    """
    if length is None:
        return _NO_GROUP
    if not events:
        return _NONE
    return format_html(
        '<span class="s-number" title="The oldest event that the slowest group has not read, and how many there are.">'
        '{} <span class="s-quiet s-under">{} {}</span></span>',
        seconds(length),
        number(events),
        plural("event", events),
    )


_NO_GROUP: SafeString = mark_safe('<span class="s-quiet">no group</span>')
_NONE: SafeString = mark_safe('<span class="s-badge s-ok">none</span>')


@lru_cache
def state_of(health: Health, kind: str) -> str:
    """Return the health of a stream as a badge, followed by the kind of finding unless both are the same word."""
    badge = health_badge(health)
    return badge if kind in ("", health) else format_html('{} <span class="s-quiet s-under">{}</span>', badge, kind)


def title_attribute(text: str) -> Any:
    """Return the HTML attribute that shows a text as a tooltip; "" without a text."""
    return format_html(' title="{}"', visible(text)) if text else ""
