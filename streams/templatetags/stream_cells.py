"""Cells of lists and pages about one stream. A page has hundreds of them, and templates would take a while."""

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
    """Say how many events a stream holds, and whether it is full."""
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
    """Say how many events were refused, with their reasons to be pointed at."""
    if overview is None:
        return NOTHING
    reasons = overview.figures.refused_by_reason
    count = number(overview.figures.counters["refused"])
    told = ", ".join(f"{reason} {number(times)}" for reason, times in reasons.items())
    return format_html('<span title="{}">{}</span>', told, count) if told else count


@register.simple_tag
def sampled_lag(length: float | None, events: int) -> str:
    """Say how far the slowest group is behind, as the sampler counted it: by its oldest unread event, in seconds."""
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
    """Return the health of a stream, with its reason where that is another word."""
    badge = health_badge(health)
    return badge if kind in ("", health) else format_html('{} <span class="s-quiet s-under">{}</span>', badge, kind)


def titled(text: str) -> Any:
    """Return the attribute for a text to be pointed at, "" for none."""
    return format_html(' title="{}"', visible(text)) if text else ""
