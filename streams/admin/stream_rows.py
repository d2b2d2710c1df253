"""The table of streams on the first page: a row for each stream, with its state and statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.urls import get_script_prefix, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.templatetags.synapse import moment, moment_of_ms, number, rate, sparkline, visible
from streams.models import Stream
from streams.templatetags.stream_cells import (
    NOTHING,
    refused_count,
    sampled_lag,
    state_of,
    stream_length,
    title_attribute,
)
from synapse.inspection.stream_stats import Activity
from synapse.statistics import series
from synapse.statistics.health import Health
from synapse.statistics.overview import Finding, StreamHistory
from synapse.statistics.query import scale_values

_OF_PUBLISHED = "Events published in the last hour, minute by minute"
_OF_LAG = "Seconds that the slowest group was behind in the last hour"
_NOT_SAMPLED = {
    **dict.fromkeys(("state", "lag", "dead"), NOTHING),
    **{"published": sparkline((), _OF_PUBLISHED), "rate": NOTHING, "lags": ""},
    **dict.fromkeys(("lag_class", "dead_class"), "s-none"),
}
_ROW = """<tr>
<td data-label="Stream"><a class="s-link s-hostile" href="{url}"{purpose}>{name}</a>{problem}</td>
<td data-label="State">{state}</td>
<td data-label="Events/s"><span class="s-beside">{published} <span class="s-number">{rate}</span></span></td>
<td data-label="Worst lag" class="{lag_class}"><span class="s-beside">{lags} {lag}</span></td>
<td data-label="Dead" class="s-right s-number {dead_class}">{dead}</td>
<td data-label="Refused" class="s-right s-number {refused_class}">{refused}</td>
<td data-label="Events" class="s-right s-number">{length}</td>
<td data-label="Last event" class="s-number">{last}</td>
</tr>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """A row of the table of streams.

    Attributes:
        stream: the stream.
        overview: its current activity by Redis, None when Redis did not answer.
        past: its samples of the last hour, None without any.
        url: the address of its statistics.
        worst: its most urgent finding, None without any.
        marks: the times of changes of definitions, in minutes since one hour ago.
    """

    stream: Stream
    overview: Activity | None
    past: StreamHistory | None
    url: str
    worst: Finding | None
    marks: Sequence[float] = ()

    @property
    def health(self) -> Health:
        """The health of the stream."""
        return self.worst.health if self.worst else "healthy"

    @property
    def html(self) -> SafeString:
        """The row as HTML. It is formatted here because a template takes three times as long for a hundred rows, and
        rows are rendered with each sample.
        """
        found = self.overview
        refused = found.figures.counters["refused"] if found else 0
        return format_html(
            _ROW,
            url=self.url,
            name=visible(self.stream.name),
            purpose=title_attribute(self.stream.purpose),
            problem=format_html(' <span class="s-bad">{}</span>', visible(found.problem.detail))
            if found and found.problem
            else "",
            refused=refused_count(found),
            refused_class="s-none" if not refused else "s-bad" if self.worst else "",
            length=stream_length(self.stream, found),
            last=moment(moment_of_ms(found.last_ms)) if found else NOTHING,
            **(self._cells_of(self.past) if self.past else _NOT_SAMPLED),
        )

    def _cells_of(self, past: StreamHistory) -> Mapping[str, str]:
        lags = scale_values(series.LAG_SECONDS, past.highest(series.LAG_SECONDS))
        dead, events = sum(past.last(series.DEAD).values()), past.lag_events
        return {
            "state": state_of(self.health, self.worst.kind if self.worst else ""),
            "published": sparkline(past.total(series.PUBLISHED), _OF_PUBLISHED, self.marks),
            "rate": rate(past.published_rate),
            "lags": sparkline(lags, _OF_LAG, self.marks) if lags else "",
            "lag": sampled_lag(past.lag_seconds, events),
            "lag_class": "" if events else "s-none",
            "dead": number(dead),
            "dead_class": "s-bad" if dead else "s-none",
        }


def statistics_page_of(stream: Stream) -> str:
    """Return the address of a stream's statistics."""
    return _statistics_page(stream.pk, get_script_prefix())


@lru_cache(maxsize=1_000)
def _statistics_page(pk: int, _prefix: str) -> str:
    # `_prefix`, under which the server is mounted, is a part of the cache's key.
    return reverse("admin:streams_stream_statistics", args=[pk])
