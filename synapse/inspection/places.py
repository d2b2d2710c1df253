"""The place of one event in each group of its stream, derived from what Redis keeps.

For each group an event is in exactly one place (docs/decisions/0005-one-place-for-each-event.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synapse.inspection import event_history as history
from synapse.inspection.event_history import Change, KnownAttempt
from synapse.inspection.range_query import FIRST_CHUNK, Scan
from synapse.redis import Conversation, answer, answer_or, ask, keyspace
from synapse.redis.commands.dead_letters import StoredLetter, parse_letter
from synapse.redis.commands.places import StoredPlace, place
from synapse.redis.commands.streams import Entry, Group, xinfo_groups, xrange
from synapse.wire.ids import Range, parse

PlaceName = Literal[
    "not-created",
    "before-start",
    "unread",
    "in-flight",
    "scheduled",
    "blocked",
    "dead",
    "acknowledged",
    "skipped",
    "discarded",
    "lost",
]
# A stream may have more groups than a person can read: some programs create a group for each run.
MOST_GROUPS = 1000
# How often a group that moves during the reading is read again.
_MOST_LOOKS = 3
# Dead letters from before the index by event are searched one by one: at most this many, and this many bytes, in all
# groups together.
_MOST_UNLISTED, _MOST_BYTES = 1000, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlace:
    """The place of an event in one group, with its known attempts. Times are milliseconds since 1970.

    Attributes:
        place: the state of the event. `acknowledged` is an event that the group read and keeps nothing of.
        is_certain: False when an `acknowledged` event may have been skipped, discarded or lost instead.
        consumer: the consumer that has the event in flight, or was the last to have it.
        deliveries: the recorded number of the event's deliveries.
        since_ms: when the delivery in flight began.
        due_ms: the time of the next attempt; for an event in flight, the end of its lease. None when unknown.
        blocked_by: the earlier event with the same key that must be finished first.
        ahead: the number of earlier events with the same key.
        attempts: the event's recorded attempts, oldest first.
        changes: the event's other changes from the delivery log, oldest first.
        letters: the event's dead letters, also when the group was moved back and has the event again.
        has_copy: whether the group keeps a copy of the event.
        is_complete: whether all dead letters of the group were searched.
    """

    group: str
    place: PlaceName
    is_certain: bool = True
    has_copy: bool = False
    consumer: str = ""
    deliveries: int = 0
    since_ms: int | None = None
    due_ms: int | None = None
    blocked_by: str = ""
    ahead: int | None = None
    attempts: tuple[KnownAttempt, ...] = ()
    changes: tuple[Change, ...] = ()
    letters: tuple[StoredLetter, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlaces:
    """The entry of an event, and its place in each group, sorted by name.

    `entry` is None when the stream does not hold it (any more). `is_complete` is false when the stream has further
    groups.
    """

    entry: Entry | None
    groups: tuple[EventPlace, ...]
    is_complete: bool


def places_of(stream: str, id_: str, *, further: Iterable[str] = ()) -> Conversation[EventPlaces]:
    """Return the place of an event in the groups of its stream, and in the `further` groups, which Redis may not have.

    Takes two round trips, and more when a group was moved meanwhile or has dead letters that are not indexed by event.
    Of those, a bounded number is read in all groups together.
    """
    found, reply = yield from ask([xrange(stream, id_, id_, 1), xinfo_groups(stream)])
    entries: list[Entry] = answer(found, stream, absent=[])
    groups = _by_name(answer(reply, stream, absent=[]))
    everyone = sorted({*groups, *further})
    names = everyone[:MOST_GROUPS]
    if not names:
        return EventPlaces(entry=entries[0] if entries else None, groups=(), is_complete=True)
    for _ in range(_MOST_LOOKS):
        *stored, reply = yield from ask([*(place(stream, name, id_) for name in names), xinfo_groups(stream)])
        before, groups = groups, _by_name(answer(reply, stream, absent=[]))
        if _have_read(before, id_) == _have_read(groups, id_):
            break
    places = []
    letters_left, bytes_left = _MOST_UNLISTED, _MOST_BYTES
    for name, reply in zip(names, stored, strict=True):
        kept: StoredPlace = answer(reply, stream)
        letters, is_complete = kept.letters, True
        if kept.unlisted and not letters:
            scan = Scan(keyspace.dead_letters(stream, name), Range(), most=letters_left, most_bytes=bytes_left)
            letters = yield from _letters_in(scan, stream, id_)
            is_complete = scan.exhausted or bool(letters)
            # Each group takes a round trip of its own, even with few letters.
            letters_left = max(0, letters_left - max(scan.entries, FIRST_CHUNK))
            bytes_left -= scan.bytes
        places.append(
            derive_place(
                id_, groups.get(name), name, kept, letters=letters, is_there=bool(entries), is_complete=is_complete
            )
        )
    return EventPlaces(
        entry=entries[0] if entries else None, groups=tuple(places), is_complete=len(everyone) == len(names)
    )


def derive_place(
    id_: str,
    group: Group | None,
    name: str,
    kept: StoredPlace,
    *,
    letters: tuple[StoredLetter, ...],
    is_there: bool,
    is_complete: bool = True,
) -> EventPlace:
    """Return the place of an event in a group. `group` is None when Redis has no group of this name.

    Args:
        kept: the group's records of the event.
        letters: the event's dead letters.
        is_there: whether the stream holds the event's entry.
        is_complete: whether all dead letters of the group were searched.
    """
    common: dict[str, Any] = {
        "group": name,
        "has_copy": bool(kept.form),
        "attempts": history.attempts_of(kept, letters),
        "changes": history.changes_of(kept),
        "letters": letters,
        "is_complete": is_complete,
    }
    _, named, leased_to = kept.token.partition(" ")
    if kept.pending is not None:
        return EventPlace(
            place="in-flight",
            consumer=kept.pending.consumer,
            deliveries=kept.pending.deliveries,
            since_ms=kept.now_ms - kept.pending.idle_ms,
            **common,
        )
    if kept.due_ms is not None:
        is_leased = bool(named) and kept.due_ms > kept.now_ms
        return EventPlace(
            place="in-flight" if is_leased else "scheduled",
            consumer=leased_to,
            deliveries=kept.deliveries,
            due_ms=kept.due_ms,
            **common,
        )
    if kept.form:
        return EventPlace(place="blocked", deliveries=kept.deliveries, blocked_by=kept.turn, ahead=kept.ahead, **common)
    if group is not None and parse(id_) > parse(group.last_delivered_id):
        return EventPlace(place="unread" if is_there else "lost", **common)
    if letters:
        return EventPlace(place="dead", **common)
    if group is None:
        return EventPlace(place="not-created", **common)
    if kept.began is not None and parse(id_) <= parse(kept.began):
        return EventPlace(place="before-start", **common)
    if end := history.last_end(kept):
        return EventPlace(place=end, **common)
    is_doubtful = kept.doubtful is not None and parse(id_) <= parse(kept.doubtful)
    is_past_for_sure = kept.began is not None and is_there and is_complete and not history.was_buried_last(kept)
    is_certain = is_past_for_sure and not (kept.passed_over and is_doubtful)
    return EventPlace(place="acknowledged", is_certain=is_certain, **common)


def _by_name(groups: Iterable[Group]) -> dict[str, Group]:
    return {group.name: group for group in groups}


def _have_read(groups: Mapping[str, Group], id_: str) -> set[str]:
    return {group.name for group in groups.values() if parse(group.last_delivered_id) >= parse(id_)}


def _letters_in(scan: Scan, stream: str, id_: str) -> Conversation[tuple[StoredLetter, ...]]:
    """Return the dead letters of an event that the scan finds."""
    found: list[StoredLetter] = []
    while not scan.done:
        (reply,) = yield from ask([scan.command()])
        letters = map(parse_letter, scan.take_chunk(answer_or(reply, stream, [])))
        found += [letter for letter in letters if letter.event_id == id_]
    return tuple(found)
