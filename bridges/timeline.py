"""The timeline of one event: its publishing, its place and history in each group, and its copies.

Of the event's content it has only type, source and trace. Errors may quote content: only callers who may see dead
letters get them, masked for those who may not see PII.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bridges import archive, snapshot
from bridges.copies import find_copies
from bridges.dead_letters.permissions import READING, is_masked
from bridges.models import ArchivedEvent
from bridges.sinks.registry import find_sink
from bridges.sinks.stream import StreamConfig, StreamSink
from streams.snapshot import holder as catalog
from synapse.auth.permission import STREAMS_READ, is_visible
from synapse.auth.principal import PERSONAL, Principal, sees
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.correlation.digests import trace_of
from synapse.errors.delivery import BadConfig
from synapse.errors.streams import UnknownEntry
from synapse.inspection.event_history import Change, KnownAttempt
from synapse.inspection.groups import owners
from synapse.inspection.places import EventPlace, EventPlaces, PlaceName, places_of
from synapse.problems import Forbidden, Problem
from synapse.publishing import deferred_validation
from synapse.redis import Conversation, answer_or, ask
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands.dead_letters import StoredLetter
from synapse.redis.commands.delivery import form_of, netstring
from synapse.redis.commands.places import stored_copy
from synapse.schema.pii import MASK
from synapse.wire import encoding
from synapse.wire.encoding import CLOUDEVENT, DecodedEntry, attributes_of, decode_texts, pairs, text_fields
from synapse.wire.ids import iso_of, moment_of, time_of
from synapse.wire.masking import Mask, mask_of, shown_attributes

# The number of archived rows that are listed. An event has one for each bridge that archived it.
_MOST_ROWS = 20
# A sentence about each place; other members of the answer have the details.
_SENTENCES: Mapping[PlaceName, str] = {
    "not-created": "The group is not created yet.",
    "before-start": "The group began behind this event, and never gets it.",
    "unread": "The group has not read it yet.",
    "in-flight": "A consumer has it.",
    "scheduled": "Its next attempt is scheduled.",
    "blocked": "It waits until an earlier event of its key has ended.",
    "dead": "It is a dead letter: all attempts failed, or it was refused for good.",
    "acknowledged": "It was acknowledged.",
    "skipped": "The group was moved past it.",
    "discarded": "Its dead letter was discarded.",
    "lost": "The stream lost it before the group had acknowledged it.",
}
_UNCERTAIN = (
    "The group is past it, and nothing of it is left: it was acknowledged, or else skipped, discarded, lost, or never "
    "given to the group. Nothing tells which."
)


# A function that returns a text as the caller may see it, None when they may not. Its second argument is the digest of
# the stored form of the event that the text may quote; None if the text was masked when it was written.
Redact = Callable[[str, str | None], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventFacts:
    """The facts about an event, from its entry, a copy, or an archived row.

    Attributes:
        decoded: the event, None when only an archived row is left.
        mask: the mask of its PII, None when it has none, or the caller may see it.
        fields: the entry's fields as text, masked for the caller.
        form: the digest of its stored form, "" when only an archived row is left.
    """

    event_type: str
    source: str | None
    decoded: DecodedEntry | None = None
    mask: Mask | None = None
    fields: Mapping[str, str]
    form: str = ""


def timeline_of(stream: StreamDefinition, id_: str, by: Principal) -> Conversation[dict[str, Any]]:
    """Return the timeline of an event, as a caller may see it. Queries the database, so run it in a thread.

    Raises:
        UnknownEntry: when the event does not exist, or the caller may not read events of its type. A trimmed event
            counts as existing while the caller may see a copy, a dead letter or an archived row of it.
    """
    rows = _find_archived(stream.name, id_, by)
    bridges = {bridge.group: bridge for bridge in snapshot.holder.current().values() if bridge.stream == stream.name}
    places: EventPlaces = yield from places_of(stream.name, id_, further=bridges)
    known = yield from _find_event(stream, id_, places, rows, by)
    is_reader = known is not None and sees(by.rights, stream.name, known.event_type)
    if known is None or not (is_reader or by.rights.has(STREAMS_READ)):
        raise UnknownEntry(f"The stream “{stream.name}” holds no entry {id_}: it never did, or it was trimmed.")
    copies = yield from _find_copies(stream.name, id_, by)
    decoded = known.decoded
    redact = _make_redactor(stream, known, by)
    whose = owners()
    return {
        "stream": stream.name,
        "id": id_,
        "stored_at": iso_of(moment_of(id_)),
        "is_in_stream": places.entry is not None,
        "event_type": known.event_type or None,
        "source": known.source if is_reader else None,
        "contract_version": (decoded.contract_version or None) if decoded else None,
        "warnings": _find_warnings(stream, decoded, known.mask) if is_reader else None,
        "trace_id": trace_of(known.fields.get("traceparent", "")) or None,
        "cloudevent": _attributes_of(known.fields) if is_reader else None,
        "came_through": _hops_of(known.fields),
        "groups": [_describe_group(place, whose.get((stream.name, place.group)), redact) for place in places.groups],
        "groups_complete": places.is_complete,
        "copies": copies,
        "archived": [
            {"bridge": row.bridge.name if row.bridge else None, "at": iso_of(row.archived_at)} for row in rows
        ],
    }


def _attributes_of(fields: Mapping[str, str]) -> dict[str, Any] | None:
    found = attributes_of(fields[CLOUDEVENT]) if CLOUDEVENT in fields else None
    return None if found is None else shown_attributes(found)


def quoted_events(timeline: Mapping[str, Any]) -> list[str]:
    """Return the event's id if the timeline contains an error, which may quote the event, so that seeing it is
    recorded.
    """
    groups = timeline["groups"]
    errors = [each["error"] for group in groups for each in [*group["attempts"], *group["dead_letters"]]]
    return [timeline["id"]] if any(errors) else []


def _find_archived(stream: str, id_: str, by: Principal) -> list[ArchivedEvent]:
    if not by.rights.has("archive:read"):
        return []
    rows = ArchivedEvent.objects.filter(stream=stream, entry_id=id_).select_related("bridge").order_by("id")
    return [archive.mask_for_reader(row, by) for row in rows[:_MOST_ROWS]]


def _find_event(
    stream: StreamDefinition, id_: str, places: EventPlaces, rows: Sequence[ArchivedEvent], by: Principal
) -> Conversation[_EventFacts | None]:
    """Return the facts about an event from its entry, a copy, or an archived row; None when the caller may see none of
    these.
    """
    parts = places.entry.parts if places.entry else None
    if parts is None:
        parts = yield from _read_copy(stream.name, id_, places, by)
    if parts is not None:
        fields = text_fields(pairs(parts))
        decoded = decode_texts(fields, types_of=stream.types_of)
        mask = None if by.rights.has(PERSONAL) else mask_of(stream, decoded)
        source = mask.source(decoded.source, decoded.event) if mask else decoded.source
        fields = mask.fields(fields, decoded.event) if mask else fields
        form = form_of(b"".join(map(netstring, parts)))
        return _EventFacts(
            event_type=decoded.event_type, source=source, decoded=decoded, mask=mask, fields=fields, form=form
        )
    if rows:
        return _EventFacts(event_type=rows[0].event_type, source=rows[0].source or None, fields={})
    return None


def _read_copy(stream: str, id_: str, places: EventPlaces, by: Principal) -> Conversation[list[bytes] | None]:
    """Return the event's fields from the copy in a group that retries it, or from a dead letter that the caller may
    see; None without any.
    """
    for place in places.groups:
        if place.has_copy:
            (reply,) = yield from ask([stored_copy(stream, place.group, id_)])
            if parts := answer_or(reply, stream, None):
                return list(parts)
        if place.letters and _may_see_letters(stream, by):
            (reply,) = yield from ask([dead_letter_commands.letter(stream, place.group, place.letters[-1].id)])
            letters: list[StoredLetter] = answer_or(reply, stream, [])
            if letters and letters[0].parts:
                return letters[0].parts
    return None


def _may_see_letters(stream: str, by: Principal) -> bool:
    try:
        READING.demand(by, stream)
    except Forbidden:
        return False
    return True


def _make_redactor(stream: StreamDefinition, known: _EventFacts, by: Principal) -> Redact:
    """Return the function that masks or hides errors and names of people for the caller.

    A dead letter can be redriven with an edited event. So an error is masked by the values of the event's form that it
    may quote.
    """

    def redact(text: str, form: str | None) -> str | None:
        if not may_see:
            return None
        if not text or is_whole:
            return text
        if form is not None and form != known.form:
            # That form of the event is not available, so it is unknown which of its values the error quotes.
            return MASK
        return text if known.mask is None or known.decoded is None else known.mask.text(text, known.decoded.event)

    may_see, is_whole = _may_see_letters(stream.name, by), by.rights.has(PERSONAL) or not stream.marks
    return redact


def _find_warnings(
    stream: StreamDefinition, decoded: DecodedEntry | None, mask: Mask | None
) -> list[Mapping[str, str]] | None:
    """Return the violations of the contract's version that the event was checked against, None without a check.

    The event is checked again: its entry names the version that it was checked against, and versions do not change. For
    callers who may not see PII, the masked event is checked, as for dead letters.
    """
    if decoded is None or not decoded.contract_version:
        return None
    event = mask.event(decoded.event) if mask else decoded.event
    try:
        found = deferred_validation.check_in_thread(stream, event, version=decoded.contract_version)
        violations = [violation.as_dict() for violation in found.warnings]
    except Problem as problem:
        violations = list(problem.members.get("violations", ()))
    return [each for each in violations if not (mask and is_masked(event, each["pointer"]))]


def _hops_of(fields: Mapping[str, str]) -> list[str]:
    # Without our version field, another program may have written the value.
    return fields[encoding.HOPS].split(",") if encoding.VERSION in fields and encoding.HOPS in fields else []


def _describe_group(place: EventPlace, owner: Any, redact: Redact) -> dict[str, Any]:
    return {
        "group": place.group,
        "belongs_to": asdict(owner) if owner else None,
        "place": place.place,
        "certain": place.is_certain,
        "meaning": _SENTENCES[place.place] if place.is_certain else _UNCERTAIN,
        "consumer": place.consumer or None,
        "deliveries": place.deliveries,
        "since": time_of(place.since_ms),
        "due_at": time_of(place.due_ms),
        "blocked_by": place.blocked_by or None,
        "ahead": place.ahead,
        "attempts": [_describe_attempt(attempt, redact) for attempt in place.attempts],
        "changes": [_describe_change(change, redact) for change in place.changes],
        "dead_letters": [_describe_letter(letter, redact) for letter in place.letters],
        "dead_letters_complete": place.is_complete,
    }


def _describe_attempt(attempt: KnownAttempt, redact: Redact) -> dict[str, Any]:
    return {
        "at": time_of(attempt.at_ms),
        "number": attempt.number,
        "took_ms": attempt.took_ms,
        "outcome": attempt.outcome,
        "worker": attempt.worker or None,
        "kind": attempt.kind or None,
        "status": attempt.status,
        "error": redact(attempt.error, None if attempt.is_told else attempt.form) or None,
    }


def _describe_change(change: Change, redact: Redact) -> dict[str, Any]:
    return {
        "at": time_of(change.at_ms),
        "what": change.what,
        "by": redact(change.by, None) or None,
        "from": change.start or None,
        "to": change.end or None,
    }


def _describe_letter(letter: StoredLetter, redact: Redact) -> dict[str, Any]:
    return {
        "id": letter.id,
        "error": redact(letter.error, letter.form) or None,
        "attempts": letter.count,
        "first_failed_at": time_of(letter.first_ms),
        "last_failed_at": time_of(letter.last_ms),
    }


def _find_copies(stream: str, id_: str, by: Principal) -> Conversation[list[dict[str, Any]]]:
    """Return the copies that bridges stored in other streams that the caller may see."""
    asked = []
    for bridge in snapshot.holder.current().values():
        try:
            if bridge.stream != stream or not issubclass(find_sink(bridge.sink), StreamSink):
                continue
            target = StreamConfig.read(bridge.config).stream
        except BadConfig:
            # A bridge whose settings are invalid has copied nothing.
            continue
        if target in catalog.current().streams and is_visible(by.rights, target):
            asked.append((bridge.name, target, find_copies(target, bridge, id_)))
    replies = (yield from ask([command for _, _, command in asked])) if asked else []
    return [
        {"bridge": name, "stream": target, "id": found}
        for (name, target, _), reply in zip(asked, replies, strict=True)
        for found in answer_or(reply, target, ())
    ]
