"""The timeline on an event's page: where the event is in each group now, and what happened to it, in the order of
time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from bridges.models import Bridge
from bridges.timeline import quoted_events, timeline_of
from core import payload_access
from core.admin.base import person
from streams.connections import executor
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.catalog.bridge_definitions import PULL
from synapse.formats.text import plural
from synapse.http.redis_problems import FAILURES, problem_of
from synapse.inspection.range_query import parse_entry_id
from synapse.wire.ids import moment_of

# The word for the event's place in a group, and its colour.
_STATES = {
    "not-created": ("not created", ""),
    "before-start": ("before its start", ""),
    "unread": ("unread", "s-info"),
    "in-flight": ("in flight", "s-info"),
    "scheduled": ("scheduled for retry", "s-warn"),
    "blocked": ("blocked by its key", "s-warn"),
    "dead": ("dead letter", "s-bad"),
    "acknowledged": ("acknowledged", "s-ok"),
    "skipped": ("skipped", "s-warn"),
    "discarded": ("discarded", ""),
    "lost": ("lost", "s-bad"),
}
_PAST = ("past it", "")
_OVER = ("acknowledged", "skipped", "discarded", "before-start", "not-created")
# The sentences about attempts, by outcome, and about changes, each with its colour.
_ATTEMPTS = {
    "done": ("Attempt {} succeeded", "s-ok"),
    "failed": ("Attempt {} failed", "s-warn"),
    "silent": ("Attempt {} never reported an end", "s-warn"),
}
_CHANGES = {
    "dead": ("Became a dead letter", "s-bad"),
    "filtered": ("Acknowledged, because the bridge does not select it", "s-ok"),
    "redriven": ("Redriven", "s-info"),
    "edited": ("Redriven with changes", "s-info"),
    "discarded": ("Dead letter discarded", ""),
    "skipped": ("Dropped by moving the group", "s-warn"),
    "lost": ("Lost: its entry was gone", "s-bad"),
    "moved": ("The group was moved over it", "s-warn"),
}
# The numbers of shown attempts in a group and of shown groups; further ones are folded.
_MOST_ATTEMPTS, _MOST_GROUPS = 3, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of the timeline.

    Attributes:
        text: what happened.
        colour: a CSS class of the page, "" for none.
        group: the group; `group_url` is the address of its page.
        detail: further information, such as the duration.
        error: the error, "" for none.
        url: the address of a page with more information.
        folded: earlier lines of the same kind, which can be unfolded.
    """

    at: datetime | None
    text: str
    colour: str = ""
    group: str = ""
    group_url: str = ""
    detail: str = ""
    error: str = ""
    url: str = ""
    folded: Sequence["Moment"] = field(default=())


def values_of(request: HttpRequest, stream: Stream, id_: str) -> Mapping[str, Any]:
    """Return the values of `bridges/admin/timeline.html` for an event."""
    definition = holder.current().streams.get(stream.name)
    if definition is None:
        return {"told": None, "problem": None}
    by = person(request)
    try:
        told = executor().run(timeline_of(definition, str(parse_entry_id(id_)), by))
    except FAILURES as failure:
        return {"told": None, "problem": problem_of(failure)}
    payload_access.record(by, f"stream {stream.name}", quoted_events(told))
    bridges = {
        bridge.name: bridge for bridge in Bridge.objects.filter(stream=stream).only("name", "sink", "batch_size")
    }
    groups = [_build_row(request, stream, row, bridges) for row in told["groups"]]
    # Groups with problems come first.
    groups.sort(key=lambda row: (row["is_over"], row["group"]))
    shown = [row for row in groups if not row["is_over"]]
    over = [row for row in groups if row["is_over"]]
    room = max(0, _MOST_GROUPS - len(shown))
    return {
        "told": told,
        "groups": [*shown, *over[:room]],
        "further": over[room:],
        "story": sorted(_build_story(told, groups), key=lambda each: each.at or datetime.max.replace(tzinfo=UTC)),
    }


def _build_row(
    request: HttpRequest, stream: Stream, row: Mapping[str, Any], bridges: Mapping[str, Bridge]
) -> dict[str, Any]:
    """Return a group's row for the template: its state in words, and links to the pages that the person may see."""
    word, colour = _STATES[row["place"]] if row["certain"] else _PAST
    has_pages = request.user.has_perm("bridges.view_bridge") and "/" not in row["group"]
    sees_letters = has_pages and request.user.has_perm(VIEW_PAYLOAD)
    bridge = bridges.get(row["belongs_to"]["name"]) if row["belongs_to"] else None
    letters = [each["id"] for each in row["dead_letters"]]
    in_group = [stream.pk, row["group"]]
    letter_urls = {
        letter: reverse("admin:bridges_bridge_dead_letters_one", args=[*in_group, letter])
        for letter in (letters if sees_letters else ())
    }
    actions = []
    if letters and sees_letters and request.user.has_perm("bridges.change_bridge"):
        actions = [
            (title, f"{reverse(f'admin:bridges_bridge_dead_letters_{name}', args=in_group)}?id={letters[-1]}")
            for title, name in (("Redrive…", "redrive"), ("Discard…", "discard"))
        ]
    return {
        **row,
        "word": word,
        "colour": colour,
        "is_over": row["place"] in _OVER,
        # A batch is timed as a whole, so the time of one of its events is the mean.
        "has_means": not bridge or (bridge.sink != PULL and bridge.batch_size > 1),
        "url": reverse("admin:bridges_bridge_group", args=in_group) if has_pages else "",
        "bridge_url": reverse("admin:bridges_bridge_statistics", args=[bridge.pk]) if bridge and has_pages else "",
        "letter_urls": letter_urls,
        "letter_url": letter_urls[letters[-1]] if letter_urls else "",
        "actions": actions,
        "since": _parse_time(row["since"]),
        "due_at": _parse_time(row["due_at"]),
    }


def _build_story(told: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> Iterator[Moment]:
    source = f" by {told['source']}" if told["source"] else ""
    version = f"under version {told['contract_version']} of its contract" if told["contract_version"] else ""
    yield Moment(at=_parse_time(told["stored_at"]), text=f"Stored{source}", detail=version, colour="s-info")
    for row in groups:
        attempts = [_moment_of_attempt(attempt, row) for attempt in row["attempts"]]
        kept = attempts[-_MOST_ATTEMPTS:]
        if folded := attempts[:-_MOST_ATTEMPTS]:
            kept[0] = replace(kept[0], folded=folded)
        yield from kept
        yield from changes_of(row)
    targets = dict(
        Stream.objects.filter(name__in=[copy["stream"] for copy in told["copies"]]).values_list("name", "pk")
    )
    for copy in told["copies"]:
        pk = targets.get(copy["stream"])
        yield Moment(
            at=moment_of(copy["id"]),
            text=f"Copied to {copy['stream']} by {copy['bridge']}",
            detail=copy["id"],
            colour="s-ok",
            url=reverse("admin:streams_stream_message", args=[pk, copy["id"]]) if pk else "",
        )
    for row in told["archived"]:
        yield Moment(
            at=_parse_time(row["at"]),
            text=f"Archived by {row['bridge'] or 'a bridge that is deleted'}",
            colour="s-ok",
            url=f"{reverse('admin:bridges_archivedevent_changelist')}?q={told['id']}",
        )


def _moment_of_attempt(attempt: Mapping[str, Any], row: Mapping[str, Any]) -> Moment:
    (text, colour), took = _ATTEMPTS[attempt["outcome"]], attempt["took_ms"]
    details = [
        "" if took is None else f"{took:,} ms on average in its batch" if row["has_means"] else f"after {took:,} ms",
        f"status {attempt['status']}" if attempt["status"] else attempt["kind"] or "",
        f"on {attempt['worker']}" if attempt["worker"] else "",
    ]
    return Moment(
        at=_parse_time(attempt["at"]),
        text=" ".join(text.format(attempt["number"] or "").split()),
        detail=", ".join(filter(None, details)),
        error=attempt["error"] or "",
        colour=colour,
        group=row["group"],
        group_url=row["url"],
    )


def changes_of(row: Mapping[str, Any]) -> Iterator[Moment]:
    """Return the lines of a group's changes, and of its dead letters, also of those that are not in the delivery
    log.
    """
    letters = list(row["dead_letters"])
    for change in row["changes"]:
        made = (each for each in letters if change["what"] == "dead" and each["last_failed_at"] == change["at"])
        if letter := next(made, None):
            letters.remove(letter)
        yield _moment_of_change(change, row, letter)
    for letter in letters:
        yield _moment_of_change({"what": "dead", "at": letter["last_failed_at"], "by": None, "to": None}, row, letter)


def _moment_of_change(change: Mapping[str, Any], row: Mapping[str, Any], letter: Mapping[str, Any] | None) -> Moment:
    """Return the line of a change; `letter` is the dead letter that it created, if that still exists."""
    text, colour = _CHANGES[change["what"]]
    by = f"by {change['by']}" if change["by"] else ""
    if change["to"]:
        by = f"{by} to {change['to']}".strip()
    if letter:
        by = f"after {letter['attempts']} {plural('attempt', letter['attempts'])}"
    return Moment(
        at=_parse_time(change["at"]),
        text=text,
        detail=by,
        colour=colour,
        group=row["group"],
        group_url=row["url"],
        url=row["letter_urls"].get(letter["id"], "") if letter else "",
    )


def _parse_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
