"""The lines of the first page that say what needs attention: problems of streams and groups, readers, alerts."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db.models import Max
from django.http import HttpRequest
from django.urls import reverse

from contracts.models import Contract
from core.admin.base import Tab
from core.templatetags.synapse import number, span, visible
from streams.admin import tabs
from streams.connections import ask_all
from streams.models import Stream
from synapse.errors.streams import ContractViolated
from synapse.formats.text import plural
from synapse.inspection.lag import GroupName
from synapse.problems import Problem
from synapse.statistics import overview
from synapse.statistics.overview import Finding, StreamHistory

# Returns the findings in the histories of streams.
FindAttention = Callable[[Mapping[str, StreamHistory]], Sequence[Finding]]
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


def build_lines(
    request: HttpRequest, findings: Sequence[Finding], find_attention: FindAttention, streams: Sequence[Stream]
) -> tuple[Sequence[AttentionLine], int]:
    """Return the lines to show, the most urgent first, and the number of further ones.

    Args:
        findings: all findings about streams, the most urgent first.
        find_attention: finds them in histories.
        streams: the streams with findings, and others.
    """
    shown: list[Finding] = []
    told = 0
    while told < len(findings) and len(shown) < MOST_FINDINGS:
        shown += _detail_findings(findings[told : told + _TOGETHER], find_attention)
        told += _TOGETHER
    lines = _build_lines_of_streams(request, shown[:MOST_FINDINGS], streams)
    lines += [line for lines_of in READER_LINES for line in lines_of(request)]
    own = len(lines)
    for alert in (alert for alerts_of in FIRING_ALERTS for alert in alerts_of(request)):
        _add_alert(lines, alert, own)
    # Lines with a firing alert come first.
    lines.sort(key=lambda line: (not line.alert, _URGENCY.index(line.kind)))
    further = len(findings[told:]) + len(shown[MOST_FINDINGS:]) + len(lines[MOST_FINDINGS:])
    return lines[:MOST_FINDINGS], further


def _detail_findings(findings: Sequence[Finding], find_attention: FindAttention) -> Sequence[Finding]:
    """Return findings about streams as findings about the groups or labels that have them."""
    streams = sorted({finding.stream for finding in findings})
    past = ask_all({"past": overview.read_histories(streams)})["past"]
    if isinstance(past, Problem):
        return findings
    kinds = {(finding.kind, finding.stream) for finding in findings}
    return [finding for finding in find_attention(past) if (finding.kind, finding.stream) in kinds]


def _build_lines_of_streams(
    request: HttpRequest, findings: Sequence[Finding], streams: Sequence[Stream]
) -> list[AttentionLine]:
    by_name = {stream.name: stream for stream in streams}
    places = {(finding.stream, finding.group) for finding in findings if finding.group}
    pages: dict[GroupName, Sequence[Tab]] = {}
    for pages_of in READER_PAGES if places else ():
        pages |= pages_of(request, places)
    return [_build_line(request, finding, by_name[finding.stream], pages) for finding in findings]


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
