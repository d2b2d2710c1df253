"""The streams' part of the first page: problems, statistics of all streams, and a row for each stream."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from django.db.models import Max
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from contracts.models import Contract
from core.admin.base import Tab
from core.templatetags.synapse import moment, moment_of_ms, number, rate, span, sparkline, visible
from streams import health
from streams.admin import charts, tabs
from streams.admin.first_steps import find_steps
from streams.connections import ask_all
from streams.models import Stream
from streams.templatetags.stream_cells import (
    NOTHING,
    refused_count,
    sampled_lag,
    state_of,
    stream_length,
    title_attribute,
)
from synapse.errors.streams import ContractViolated
from synapse.formats.text import plural
from synapse.inspection import stream_stats
from synapse.inspection.lag import GroupName
from synapse.inspection.stream_stats import Activity
from synapse.problems import Problem
from synapse.redis import Conversation, ReplyError, ask
from synapse.redis.commands import participants
from synapse.statistics import overview, series
from synapse.statistics.health import Health
from synapse.statistics.overview import Finding, StreamHistory, add_rows, describe_course, highest_of
from synapse.statistics.query import scale_values

# The number of rows, limited because the page reloads every few seconds. Of more streams, those with problems are shown
# first, then those with the latest events.
MOST = 100
_LATEST = 10 * MOST
# The number of findings that are listed; and the number of findings whose groups are read in one round trip.
MOST_FINDINGS = 12
_TOGETHER = 4
_SENTENCES = {
    "full": "is full with {amount} {events} and refuses new ones",
    "failing": "{amount} {attempts} failed in the last two minutes{label}",
    "lost": "lost {amount} {events} before they were read",
    "dead": "has {amount} {letters}",
    "lagging": "is {amount} behind",
    "refusing": "refused {amount} {events} in the last two minutes{label}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLine:
    """A finding about a stream, group or bridge, as the page shows it.

    Attributes:
        kind: the kind of the finding, a key of `_SENTENCES` or a kind of another app.
        is_bad: whether events are refused, lost or not delivered now.
        text: what happened, as the rest of a sentence that begins with the name.
        since: when it began, None where that is unknown.
        name: the stream, group or bridge; `url` is the address of its page.
        actions: pages that help to solve it.
        place: the stream and the group ("" for the stream itself).
        alert: the severity of the firing alert about it, "" without one.
    """

    kind: str
    is_bad: bool
    text: str
    since: datetime | None
    name: str
    url: str
    actions: Sequence[Tab]
    place: GroupName = ("", "")
    alert: str = ""

    @property
    def seconds(self) -> float | None:
        """The seconds since it began, None where that is unknown."""
        return (datetime.now(UTC) - self.since).total_seconds() if self.since else None


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
class FiringAlert:
    """An alert that fires.

    Attributes:
        kinds: the kinds of lines that report the same problem.
        line: the alert's line, shown unless another line reports the problem.
    """

    kinds: Collection[str]
    line: AttentionLine


# Functions that return the firing alerts; other apps add them.
FIRING_ALERTS: list[Callable[[HttpRequest], Sequence[FiringAlert]]] = []
# Functions of other apps about the readers of streams: lines to show, and pages by group.
READER_LINES: list[Callable[[HttpRequest], Sequence[AttentionLine]]] = []
READER_PAGES: list[Callable[[HttpRequest, Collection[GroupName]], Mapping[GroupName, Sequence[Tab]]]] = []
# The order of urgency: first events that are refused as a whole or not delivered, then late ones, then single refusals.
_URGENCY = ("full", "failing", "stopped", "waiting", "lost", "alert", "dead", "lagging", "refusing", "paused")


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


@lru_cache(maxsize=1_000)
def _page_of(pk: int, _prefix: str) -> str:
    """Return the address of a stream's statistics. `_prefix`, under which the server is mounted, is a part of the
    cache's key.
    """
    return reverse("admin:streams_stream_statistics", args=[pk])


def build_context(request: HttpRequest) -> Mapping[str, Any]:
    """Return the context of the template, with one or two queries and as many pipelines of Redis."""
    if not request.user.has_perm("streams.view_stream"):
        return {"may_see": False}
    limits = {row.name: row for row in Stream.objects.only("name", "hard_length", "when_full", "purpose")}
    asked = {"past": overview.read_totals()} | ({"latest": _read_latest_publishers()} if len(limits) > MOST else {})
    found = ask_all(asked)
    past = {} if isinstance(found["past"], Problem) else found["past"]
    histories: Mapping[str, StreamHistory] = {name: past[name] for name in past if name in limits}
    find_attention = partial(
        overview.find_attention,
        hard_lengths={name: row.hard_length for name, row in limits.items()},
        rejecting={name for name, row in limits.items() if row.when_full == "reject"},
    )
    findings = find_attention(histories)
    # The index of the most urgent finding of each stream: failing ones come before the others.
    worst: dict[str, int] = {}
    for place, finding in enumerate(findings):
        known_place = worst.setdefault(finding.stream, place)
        if finding.health == "failing" != findings[known_place].health:
            worst[finding.stream] = place
    names = _names_of_rows(sorted(worst, key=worst.__getitem__), found.get("latest"), sorted(limits))
    streams = [limits[name] for name in sorted(names)]
    answer = ask_all({"overview": stream_stats.activities_of(names)})["overview"]
    known: Mapping[str, Activity] = {} if isinstance(answer, Problem) else answer
    shown: list[Finding] = []
    told = 0
    while told < len(findings) and len(shown) < MOST_FINDINGS:
        shown += _detail_findings(findings[told : told + _TOGETHER], find_attention)
        told += _TOGETHER
    further = len(findings[told:]) + len(shown[MOST_FINDINGS:])
    marks = charts.last_hour_marks(request)
    rows = [
        StreamRow(
            stream=stream,
            overview=known.get(stream.name),
            past=histories.get(stream.name),
            url=_page_of(stream.pk, get_script_prefix()),
            worst=findings[worst[stream.name]] if stream.name in worst else None,
            marks=marks,
        )
        for stream in streams
    ]
    lines, cut = _build_lines(request, shown[:MOST_FINDINGS], streams)
    return {
        "may_see": True,
        "may_add": request.user.has_perm("streams.add_stream"),
        "steps": [] if isinstance(answer, Problem) else find_steps(request, known),
        "problem": answer if isinstance(answer, Problem) else None,
        "down_for": health.redis_down_for(),
        "attention": lines,
        "further": further + cut,
        "is_sampled": any(past.recent for past in histories.values()),
        "figures": _build_figures(histories, findings) if histories else [],
        "marks": marks,
        # Streams with findings first, by urgency; then the others by name.
        "rows": sorted(rows, key=lambda row: worst.get(row.stream.name, len(findings))),
        "count": len(limits),
    }


def _detail_findings(
    findings: Sequence[Finding], find_attention: Callable[[Mapping[str, StreamHistory]], Sequence[Finding]]
) -> Sequence[Finding]:
    """Return findings about streams as findings about the groups or labels that have them."""
    streams = sorted({finding.stream for finding in findings})
    past = ask_all({"past": overview.read_histories(streams)})["past"]
    if isinstance(past, Problem):
        return findings
    kinds = {(finding.kind, finding.stream) for finding in findings}
    return [finding for finding in find_attention(past) if (finding.kind, finding.stream) in kinds]


def _names_of_rows(
    troubled: Sequence[str], latest: Mapping[participants.Publisher, int] | Problem | None, names: Sequence[str]
) -> list[str]:
    """Return the names of the streams to show: those with findings first, then those with the latest publishers."""
    publishers = {} if latest is None or isinstance(latest, Problem) else latest
    known = set(names)
    lately = [stream for stream, _ in publishers if stream in known]
    return list(dict.fromkeys([*troubled, *lately, *names]))[:MOST]


def _build_lines(
    request: HttpRequest, findings: Sequence[Finding], streams: Sequence[Stream]
) -> tuple[Sequence[AttentionLine], int]:
    """Return the lines to show, the most urgent first, and the number of lines that are cut off."""
    by_name = {stream.name: stream for stream in streams}
    places = {(finding.stream, finding.group) for finding in findings if finding.group}
    pages: dict[GroupName, Sequence[Tab]] = {}
    for pages_of in READER_PAGES if places else ():
        pages |= pages_of(request, places)
    lines = [_build_line(request, finding, by_name[finding.stream], pages) for finding in findings]
    lines += [line for lines_of in READER_LINES for line in lines_of(request)]
    own = len(lines)
    for alert in (alert for alerts_of in FIRING_ALERTS for alert in alerts_of(request)):
        _add_alert(lines, alert, own)
    # Lines with a firing alert come first.
    lines.sort(key=lambda line: (not line.alert, _URGENCY.index(line.kind)))
    return lines[:MOST_FINDINGS], len(lines[MOST_FINDINGS:])


def _add_alert(lines: list[AttentionLine], alert: FiringAlert, own: int) -> None:
    """Add an alert to the line about its subject, among the first `own` lines. Without such a line, append the alert's
    own.
    """
    told = alert.line
    for place, line in enumerate(lines[:own]):
        if line.place == told.place and line.kind in alert.kinds:
            lines[place] = replace(line, alert=told.alert, actions=[*line.actions, *told.actions])
            return
    lines.append(told)


def _build_line(
    request: HttpRequest, finding: Finding, stream: Stream, pages_of_readers: Mapping[GroupName, Sequence[Tab]]
) -> AttentionLine:
    amount = span(finding.amount) if finding.kind == "lagging" else number(int(finding.amount))
    label = f": {visible(finding.label)}" if finding.label else ""
    words = {"events": "event", "attempts": "attempt", "letters": "dead letter"}
    nouns = {name: plural(word, int(finding.amount)) for name, word in words.items()}
    text = _SENTENCES[finding.kind].format(amount=amount, label=label, **nouns)
    if finding.trend:
        text += f", {finding.trend}"
    if finding.group:
        own = pages_of_readers.get((finding.stream, finding.group), ())
        pages = [*own, *tabs.of_group(request, stream, finding.group)]
    else:
        # The pages that explain the problem of the stream.
        is_refusing = finding.kind == "refusing"
        wanted = ("Refusals", "Statistics", "Definition") if is_refusing else ("Statistics", "Groups", "Definition")
        pages = [page for page in tabs.of_stream(request, stream, "") if page.title in wanted]
        if finding.label == ContractViolated.slug and (contract := _latest_contract(request, stream)):
            # The contract may be rolled back.
            pages.append(Tab(title="Contract", url=reverse("admin:contracts_contract_change", args=[contract.pk])))
            ago = datetime.now(UTC) - contract.activated_at
            text += f". The contract {contract} was changed {span(ago.total_seconds(), past=True)}"
    return AttentionLine(
        kind=finding.kind,
        is_bad=finding.health == "failing",
        text=text,
        since=datetime.fromtimestamp(finding.since, UTC),
        name=f"{finding.stream} / {finding.group}" if finding.group else finding.stream,
        url=pages[0].url if pages else reverse("admin:streams_stream_groups", args=[stream.pk]),
        actions=pages,
        place=(finding.stream, finding.group),
    )


def _latest_contract(request: HttpRequest, stream: Stream) -> Any:
    """Return the contract of a stream's event types that was activated last, with `activated_at`."""
    if not request.user.has_perm("contracts.view_contract"):
        return None
    kept = Contract.objects.filter(event_types__stream=stream).annotate(activated_at=Max("versions__activated_at"))
    return kept.exclude(activated_at=None).order_by("-activated_at").first()


def _build_figures(histories: Mapping[str, StreamHistory], findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the statistics of all streams together, each with the values of the last hour and its trend."""
    all_of = histories.values()
    published, delivered, refused = (
        (add_rows(past.total(each) for past in all_of), sum(filter(None, (past.rate(each) for past in all_of))))
        for each in (series.PUBLISHED, series.ACKNOWLEDGED, series.REFUSED)
    )
    worst = highest_of(past.highest(series.LAG_SECONDS) for past in all_of)
    behind = max((value for past in all_of for value in past.last(series.LAG_SECONDS).values()), default=0)
    asked = published[1] + refused[1]
    lagging = max((one for one in findings if one.kind == "lagging"), key=lambda one: one.amount, default=None)
    figures: list[dict[str, Any]] = [
        {"name": "Published", "value": published[1], "unit": "events/s", "points": published[0]},
        {"name": "Delivered", "value": delivered[1], "unit": "events/s", "points": delivered[0]},
        {"name": "Worst lag", "seconds": behind / series.LAG_SECONDS.scale, "points": worst},
        {
            "name": "Dead letters",
            "count": sum(sum(past.last(series.DEAD).values()) for past in all_of),
            "points": add_rows(past.total(series.DEAD) for past in all_of),
        },
        {"name": "Refused", "share": refused[1] / asked * 100 if asked else 0, "points": refused[0]},
    ]
    for figure in figures:
        figure["trend"] = describe_course(figure["points"])
    if lagging is not None and lagging.trend:
        figures[2]["trend"] = lagging.trend
    return figures


def _read_latest_publishers() -> Conversation[Mapping[participants.Publisher, int]]:
    (reply,) = yield from ask([participants.latest_publishers(_LATEST)])
    return {} if isinstance(reply, ReplyError) else reply
