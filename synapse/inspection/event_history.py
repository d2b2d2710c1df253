"""The history of one event in a group: its attempts and its other changes, from all records that are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from synapse.redis.commands.dead_letters import NO_ANSWER, Attempt, StoredLetter
from synapse.redis.commands.delivery_log import LoggedAs, LogLine, MoveLine
from synapse.redis.commands.places import StoredPlace
from synapse.wire.ids import parse

AttemptOutcome = Literal["done", "failed", "silent"]
# The end of an event's stay in a group, for ends that only the delivery log records.
End = Literal["acknowledged", "discarded", "skipped", "lost"]
_OUTCOMES: Mapping[LoggedAs, AttemptOutcome] = {
    "done": "done",
    "retry": "failed",
    "dead": "failed",
    "silent": "silent",
}
_ENDS: Mapping[LoggedAs, End] = {
    "done": "acknowledged",
    "filtered": "acknowledged",
    "discarded": "discarded",
    "skipped": "skipped",
    "lost": "lost",
}
ChangeName = Literal["dead", "filtered", "redriven", "edited", "discarded", "skipped", "lost", "moved"]
_CHANGES: Mapping[LoggedAs, ChangeName] = {
    "dead": "dead",
    "filtered": "filtered",
    "redriven": "redriven",
    "edited": "edited",
    "discarded": "discarded",
    "skipped": "skipped",
    "lost": "lost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAttempt:
    """An attempt to deliver an event to a group, with the details that are still known.

    Attributes:
        at_ms: when the attempt ended (milliseconds since 1970).
        number: the number of the attempt, from 1. None when unknown.
        took_ms: the duration of the attempt in milliseconds. None when unknown.
        outcome: `silent` when the consumer never reported a result.
        worker: the consumer, "" when unknown.
        kind: the kind of failure, "" without one.
        status: the HTTP status of the receiver's response.
        error: the error text. It may quote the event unless `is_told`.
        is_told: whether `error` comes from the delivery log and holds no PII.
        form: the digest of the event's form that `error` may quote, "" when that form is not kept.
    """

    at_ms: int
    number: int | None
    took_ms: int | None
    outcome: AttemptOutcome
    worker: str = ""
    kind: str = ""
    status: int | None = None
    error: str = ""
    is_told: bool = False
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of an event's place other than an attempt: it became a dead letter, or somebody acted on it.

    Attributes:
        what: the kind of change. `moved`: the group was moved from the id `start` to the id `end`.
        by: the person or program that acted, "" for none.
    """

    at_ms: int
    what: ChangeName
    by: str = ""
    start: str = ""
    end: str = ""


def attempts_of(kept: StoredPlace, letters: Sequence[StoredLetter]) -> tuple[KnownAttempt, ...]:
    """Return the attempts of an event, oldest first, from the delivery log and from the records kept with the event.

    Args:
        letters: the event's dead letters; each has the last attempts before it.
    """
    logged = {(line.at_ms, line.attempt): line for line in kept.lines if line.what in _OUTCOMES and line.attempt}
    forms = [*((letter.form, letter.attempts) for letter in letters), (kept.form, kept.attempts)]
    noted = {
        (attempt.at_ms, attempt.number): (attempt, "" if attempt.is_before_edit else form)
        for form, attempts in forms
        for attempt in attempts
    }
    found = [_merge_attempt(logged.get(place), *noted.get(place, (None, ""))) for place in {**noted, **logged}]
    return tuple(sorted(found, key=lambda each: (each.at_ms, each.number or 0)))


def _merge_attempt(line: LogLine | None, attempt: Attempt | None, form: str) -> KnownAttempt:
    """Merge the log line of an attempt with the error that is kept with the event. One of them may be missing."""
    if line is None:
        assert attempt is not None  # noqa: S101 - the caller passes at least one
        is_silent = attempt.error == NO_ANSWER
        return KnownAttempt(
            at_ms=attempt.at_ms,
            number=attempt.number,
            took_ms=attempt.took_ms,
            outcome="silent" if is_silent else "failed",
            error="" if is_silent else attempt.error,
            form=form,
        )
    # The error stored with the event is longer, and complete for callers that may see PII.
    is_told = attempt is None or line.what == "silent"
    return KnownAttempt(
        at_ms=line.at_ms,
        number=line.attempt,
        took_ms=line.took_ms,
        outcome=_OUTCOMES[line.what],
        worker=line.by,
        kind=line.kind,
        status=line.status,
        error=line.error if attempt is None or is_told else attempt.error,
        is_told=is_told,
        form=form,
    )


def changes_of(kept: StoredPlace) -> tuple[Change, ...]:
    """Return the changes of an event's place other than attempts, oldest first, from the delivery log."""
    return tuple(
        Change(at_ms=line.at_ms, what="moved", by=line.by, start=line.start, end=line.end)
        if isinstance(line, MoveLine)
        else Change(at_ms=line.at_ms, what=_CHANGES[line.what], by="" if line.attempt else line.by)
        for line in _in_order(kept)
        if isinstance(line, MoveLine) or line.what in _CHANGES
    )


def last_end(kept: StoredPlace) -> End | None:
    """Return the end of the event's last stay in the group by the delivery log, None when the log has none."""
    end: End | None = None
    for line in _in_order(kept):
        if isinstance(line, LogLine):
            end = _ENDS.get(line.what)
        else:
            # A group that was moved forward past the event skipped it; one that was moved back has it again.
            end = "skipped" if parse(line.end) > parse(line.start) else None
    return end


def was_buried_last(kept: StoredPlace) -> bool:
    """Say whether the last log line of the event reports a dead letter. If that letter is gone, it was removed without
    a log line.
    """
    lines = _in_order(kept)
    return bool(lines) and isinstance(lines[-1], LogLine) and lines[-1].what == "dead"


def _in_order(kept: StoredPlace) -> list[LogLine | MoveLine]:
    return sorted([*kept.lines, *kept.moves], key=lambda line: line.nth)
