"""The streams' part of the first page: problems, statistics of all streams, and a row for each stream."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.http import HttpRequest

from streams import health
from streams.admin import attention, charts
from streams.admin.first_steps import find_steps
from streams.admin.stream_rows import StreamRow, statistics_page_of
from streams.connections import ask_all
from streams.models import Stream
from synapse.inspection import stream_stats
from synapse.inspection.stream_stats import Activity
from synapse.problems import Problem
from synapse.redis import Conversation, ReplyError, ask
from synapse.redis.commands import participants
from synapse.statistics import overview, series
from synapse.statistics.overview import Finding, StreamHistory, add_rows, describe_course, highest_of

# The number of rows, limited because the page reloads every few seconds. Of more streams, those with problems are shown
# first, then those with the latest events.
MOST = 100
_LATEST = 10 * MOST


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
    worst = _find_worst(findings)
    names = _names_of_rows(sorted(worst, key=worst.__getitem__), found.get("latest"), sorted(limits))
    streams = [limits[name] for name in sorted(names)]
    answer = ask_all({"overview": stream_stats.activities_of(names)})["overview"]
    known: Mapping[str, Activity] = {} if isinstance(answer, Problem) else answer
    marks = charts.last_hour_marks(request)
    rows = [
        StreamRow(
            stream=stream,
            overview=known.get(stream.name),
            past=histories.get(stream.name),
            url=statistics_page_of(stream),
            worst=findings[worst[stream.name]] if stream.name in worst else None,
            marks=marks,
        )
        for stream in streams
    ]
    lines, further = attention.build_lines(request, findings, find_attention, streams)
    return {
        "may_see": True,
        "may_add": request.user.has_perm("streams.add_stream"),
        "steps": [] if isinstance(answer, Problem) else find_steps(request, known),
        "problem": answer if isinstance(answer, Problem) else None,
        "down_for": health.redis_down_for(),
        "attention": lines,
        "further": further,
        "is_sampled": any(past.recent for past in histories.values()),
        "figures": _build_figures(histories, findings) if histories else [],
        "marks": marks,
        # Streams with findings first, by urgency; then the others by name.
        "rows": sorted(rows, key=lambda row: worst.get(row.stream.name, len(findings))),
        "count": len(limits),
    }


def _find_worst(findings: Sequence[Finding]) -> dict[str, int]:
    """Return the index of the most urgent finding of each stream: failing ones come before the others."""
    worst: dict[str, int] = {}
    for place, finding in enumerate(findings):
        known = worst.setdefault(finding.stream, place)
        if finding.health == "failing" != findings[known].health:
            worst[finding.stream] = place
    return worst


def _names_of_rows(
    troubled: Sequence[str], latest: Mapping[participants.Publisher, int] | Problem | None, names: Sequence[str]
) -> list[str]:
    """Return the names of the streams to show: those with findings first, then those with the latest publishers."""
    publishers = {} if latest is None or isinstance(latest, Problem) else latest
    known = set(names)
    lately = [stream for stream, _ in publishers if stream in known]
    return list(dict.fromkeys([*troubled, *lately, *names]))[:MOST]


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
