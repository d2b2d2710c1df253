"""The streams' part of the first page: problems, statistics of all streams, and a row for each stream."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db.models import Max
from django.http import HttpRequest
from django.urls import reverse

from contracts.models import Contract
from core.admin.base import Tab
from core.templatetags.synapse import number, span, visible
from streams import health
from streams.admin import charts, tabs
from streams.admin.first_steps import find_steps
from streams.connections import ask_all
from streams.models import Stream
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
from synapse.statistics.query import scaled

# So many rows: the page asks again every few seconds. Where there are more streams, those in trouble, and then those
# that were published to last.
MOST = 100
_LATEST = 10 * MOST
# Findings that are shown one by one.
MOST_FINDINGS = 12
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
        kind: what it is, in a word.
        is_bad: whether events are refused, lost or not delivered now.
        text: what happened, behind the name.
        since: since when it has been so, None where that is unknown.
        name: the stream, group or bridge that has it, with the address of its page.
        actions: the pages with what helps.
    """

    kind: str
    is_bad: bool
    text: str
    since: datetime | None
    name: str
    url: str
    actions: Sequence[Tab]

    @property
    def seconds(self) -> float | None:
        """For how long it has been so."""
        return (datetime.now(UTC) - self.since).total_seconds() if self.since else None


# What apps above this one know of the readers of streams: lines about them, and pages of those that read as groups.
READER_LINES: list[Callable[[HttpRequest], Sequence[AttentionLine]]] = []
READER_PAGES: list[Callable[[HttpRequest, Collection[GroupName]], Mapping[GroupName, Sequence[Tab]]]] = []
# The order of urgency: events are turned away or not delivered, then late, then refused one by one.
_URGENCY = ("full", "failing", "stopped", "waiting", "lost", "dead", "lagging", "refusing", "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """A row of the table of streams. `past` is None when nothing was sampled."""

    stream: Stream
    overview: Activity | None
    past: StreamHistory | None
    url: str
    worst: Finding | None

    @property
    def health(self) -> Health:
        """The health of the stream, in a word."""
        return self.worst.health if self.worst else "healthy"

    @property
    def published(self) -> list[int | None]:
        return self.past.total(series.PUBLISHED) if self.past else []

    @property
    def rate(self) -> float | None:
        return self.past.rate(series.PUBLISHED) if self.past else None

    @property
    def lag(self) -> Sequence[float | None]:
        return scaled(series.LAG_SECONDS, self.past.highest(series.LAG_SECONDS)) if self.past else []

    @property
    def dead(self) -> int:
        return sum(self.past.last(series.DEAD).values()) if self.past else 0


def values(request: HttpRequest) -> Mapping[str, Any]:
    """Return what the template shows: a query or two, and as many pipelines."""
    if not request.user.has_perm("streams.view_stream"):
        return {"may_see": False}
    limits = {row.name: row for row in Stream.objects.only("name", "hard_length", "when_full")}
    asked = {"past": overview.read_totals()} | ({"latest": _latest_publishers()} if len(limits) > MOST else {})
    found = ask_all(asked)
    past = {} if isinstance(found["past"], Problem) else found["past"]
    histories: Mapping[str, StreamHistory] = {name: past[name] for name in past if name in limits}
    find_attention = partial(
        overview.find_attention,
        hard_lengths={name: row.hard_length for name, row in limits.items()},
        rejecting={name for name, row in limits.items() if row.when_full == "reject"},
    )
    findings = find_attention(histories)
    # The most urgent finding of each stream, with its place among all: one that fails before one that is late.
    worst: dict[str, int] = {}
    for place, finding in enumerate(findings):
        known_place = worst.setdefault(finding.stream, place)
        if finding.health == "failing" != findings[known_place].health:
            worst[finding.stream] = place
    names = _names_of_rows(sorted(worst, key=worst.__getitem__), found.get("latest"), sorted(limits))
    streams = list(Stream.objects.filter(name__in=names))
    # Of what is told one by one it is read, too, which group has it, and how.
    told = findings[:MOST_FINDINGS]
    details = sorted({finding.stream for finding in told})
    found = ask_all({"overview": stream_stats.activities_of(names), "details": overview.read_histories(details)})
    answer = found["overview"]
    known: Mapping[str, Activity] = {} if isinstance(answer, Problem) else answer
    shown: Sequence[Finding] = told
    if not isinstance(found["details"], Problem):
        kinds = {(finding.kind, finding.stream) for finding in told}
        detailed = find_attention(found["details"])
        shown = [finding for finding in detailed if (finding.kind, finding.stream) in kinds]
    rows = [
        StreamRow(
            stream=stream,
            overview=known.get(stream.name),
            past=histories.get(stream.name),
            url=reverse("admin:streams_stream_statistics", args=[stream.pk]),
            worst=findings[worst[stream.name]] if stream.name in worst else None,
        )
        for stream in streams
    ]
    lines, further = _lines(request, shown, streams)
    return {
        "may_see": True,
        "may_add": request.user.has_perm("streams.add_stream"),
        "steps": [] if isinstance(answer, Problem) else find_steps(request, known),
        "problem": answer if isinstance(answer, Problem) else None,
        "down_for": health.redis_down_for(),
        "attention": lines,
        "further": len(findings[MOST_FINDINGS:]) + further,
        "is_sampled": any(past.recent for past in histories.values()),
        "figures": _figures(histories, findings) if histories else [],
        "marks": charts.last_hour_marks(request),
        # Trouble first; the others by name.
        "rows": sorted(rows, key=lambda row: worst.get(row.stream.name, len(findings))),
        "count": len(limits),
    }


def _names_of_rows(
    troubled: Sequence[str], latest: Mapping[participants.Publisher, int] | Problem | None, names: Sequence[str]
) -> list[str]:
    """Return the names of the streams that are shown: those in trouble first, then those published to last."""
    publishers = {} if latest is None or isinstance(latest, Problem) else latest
    known = set(names)
    lately = [stream for stream, _ in publishers if stream in known]
    return list(dict.fromkeys([*troubled, *lately, *names]))[:MOST]


def _lines(
    request: HttpRequest, findings: Sequence[Finding], streams: Sequence[Stream]
) -> tuple[Sequence[AttentionLine], int]:
    """Return the lines to show, the most urgent first, and how many more there are of bridges."""
    by_name = {stream.name: stream for stream in streams}
    places = {(finding.stream, finding.group) for finding in findings if finding.group}
    pages: dict[GroupName, Sequence[Tab]] = {}
    for pages_of in READER_PAGES if places else ():
        pages |= pages_of(request, places)
    lines = [_line(request, finding, by_name[finding.stream], pages) for finding in findings]
    lines += [line for lines_of in READER_LINES for line in lines_of(request)]
    lines.sort(key=lambda line: _URGENCY.index(line.kind))
    return lines[:MOST_FINDINGS], len(lines[MOST_FINDINGS:])


def _line(
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
        # What a stream that refuses events is judged by, and what it holds.
        wanted = ("Statistics", "Definition") if finding.kind == "refusing" else ("Statistics", "Groups", "Definition")
        pages = [page for page in tabs.of_stream(request, stream, "") if page.title in wanted]
        if finding.label == ContractViolated.slug and (contract := _latest_contract(request, stream)):
            # It may be rolled back.
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
    )


def _latest_contract(request: HttpRequest, stream: Stream) -> Any:
    """Return the contract that was changed last of those that events of a stream keep, with the moment."""
    if not request.user.has_perm("contracts.view_contract"):
        return None
    kept = Contract.objects.filter(event_types__stream=stream).annotate(activated_at=Max("versions__activated_at"))
    return kept.exclude(activated_at=None).order_by("-activated_at").first()


def _figures(histories: Mapping[str, StreamHistory], findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the statistics of all streams together, each with its last hour and, in a word, its trend."""
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


def _latest_publishers() -> Conversation[Mapping[participants.Publisher, int]]:
    (reply,) = yield from ask([participants.latest_publishers(_LATEST)])
    return {} if isinstance(reply, ReplyError) else reply
