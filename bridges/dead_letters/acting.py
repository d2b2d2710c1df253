"""Delivering dead letters again, or throwing them away. What is about to be done is recorded first, in the database.

The two cannot be one transaction: where Redis could not be used after all, a second record says so.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bridges.dead_letters.reading import checked, get, page
from bridges.dead_letters.values import DeadLetter, Discarded, Edited, Ids, Redriven, Wanted
from bridges.errors import BadEdit, NotDefined, TooManyWaiting
from bridges.runtime.worker import MAX_WAITING
from core import audit
from core.principal import Principal
from streams import checking, connections
from streams.asking import answer
from streams.broker import commands, dead_letters, keys
from streams.broker.command import Command
from streams.broker.delivery import netstring
from streams.errors import Unavailable
from streams.snapshot import holder

MOST_AT_ONCE = 1000
MOST_REASON = 500


def redrive(
    stream: str,
    group: str,
    what: Ids | Wanted,
    *,
    by: Principal,
    dry_run: bool = False,
    rate: float | None = None,
    delay_ms: float = 0,
    before: str = "",
    most: int = MOST_AT_ONCE,
) -> Redriven:
    """Let dead letters be delivered again, with all attempts before them: at most `most` (1000) of what is meant.

    With `rate`, so many a second become due, the first after `delay_ms`. `before` goes on where the last call ended.
    In an ordered group they are delivered when they come: others of their key may have gone before them.

    Raises:
        NoSuchDeadLetter: when an id is none.
        TooManyWaiting: when so much waits in the group that it reads nothing new.
        Unavailable: when Redis cannot be used. `OutcomeUnknown`: it may have happened; doing it again does no harm.
    """
    ids, following = _ids(stream, group, what, before=before, most=most)
    if dry_run or not ids:
        return Redriven(moved=len(ids), before=following, dry_run=dry_run)
    _check_room(stream, group, len(ids))
    replay = dead_letters.replay(
        stream, group, [(id_, b"") for id_ in ids], delay_ms=delay_ms, step_ms=1000 / rate if rate else 0
    )
    answers = _recorded(by, "redrive", (stream, group), _about(what, ids, rate=rate), replay)
    return Redriven.of(answers, before=following)


def redrive_all(
    stream: str,
    group: str,
    wanted: Wanted,
    *,
    by: Principal,
    rate: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Redriven]:
    """Let all that is wanted be delivered again, a thousand at a time: give what became of each thousand.

    Raises:
        TooManyWaiting, Unavailable: as `redrive` does; what was given before has happened.
    """
    begun, moved, before = clock(), 0, ""
    while True:
        # Those that were sent before are due until then.
        delay = max(0.0, moved / rate - (clock() - begun)) if rate else 0.0
        redriven = redrive(stream, group, wanted, by=by, rate=rate, delay_ms=delay * 1000, before=before)
        moved += redriven.moved
        yield redriven
        if redriven.before is None:
            return
        before = redriven.before


def redrive_edited(stream: str, group: str, id_: str, event: Any, *, by: Principal) -> Edited:
    """Let a dead letter be delivered with another event, which is checked as if it were published.

    It keeps its id, and when and by whom it was published where the event itself does not say.

    Raises:
        NoSuchDeadLetter: when there is none of this id.
        NotDefined: when the stream is not defined any more.
        Problem: when the event would be refused (see streams.checking).
        TooManyWaiting, Unavailable: as `redrive` does.
    """
    letter = get(stream, group, id_)
    definition = holder.current().streams.get(stream)
    if definition is None:
        raise NotDefined(f"There is no stream “{stream[:100]}”, so the event cannot be checked.")
    accepted = checking.check(definition, event)
    parts = checking.encode(
        definition, accepted, now=lambda: _published(letter), source=letter.source or "", traceparent=""
    )
    if not parts:
        raise BadEdit("An event needs a property.")
    _check_room(stream, group, 1)
    replay = dead_letters.replay(stream, group, [(id_, b"".join(map(netstring, parts)))])
    about = {"before": dict(letter.event), "after": {"ids": [id_], "event": dict(accepted.event)}}
    answers = _recorded(by, "redrive edited", (stream, group), about, replay)
    return Edited(
        redriven=Redriven.of(answers, before=None),
        event=accepted.event,
        warnings=tuple(violation.as_dict() for violation in accepted.warnings),
    )


def discard(
    stream: str,
    group: str,
    what: Ids | Wanted,
    *,
    by: Principal,
    reason: str,
    dry_run: bool = False,
    before: str = "",
    most: int = MOST_AT_ONCE,
) -> Discarded:
    """Throw dead letters away: at most `most` (1000) of what is meant. `reason` is recorded, and so is who.

    Raises:
        BadEdit: when no reason is given.
        NoSuchDeadLetter, Unavailable: as `redrive` does.
    """
    reason = " ".join(reason.split())[:MOST_REASON]
    if not reason:
        raise BadEdit("Say why: the reason is recorded.")
    ids, following = _ids(stream, group, what, before=before, most=most)
    if dry_run or not ids:
        return Discarded(count=len(ids), before=following, dry_run=dry_run)
    command = dead_letters.discard(stream, group, ids)
    gone = _recorded(by, "discard", (stream, group), _about(what, ids, reason=reason), command)
    return Discarded(count=gone, before=following)


def _ids(stream: str, group: str, what: Ids | Wanted, *, before: str, most: int) -> tuple[list[str], str | None]:
    """Return which dead letters are meant, each once, and where to go on."""
    most = max(1, min(most, MOST_AT_ONCE))
    if isinstance(what, Ids):
        ids = list(dict.fromkeys(map(checked, what.ids)))
        return ids[:most], None
    # Oldest last: a page goes back in time, and so does what is redriven first. Within it the order is the event's own.
    found = page(stream, group, what, limit=most, before=before)
    return [letter.id for letter in reversed(found.letters)], found.before


def _about(what: Ids | Wanted, ids: Sequence[str], **more: Any) -> dict[str, Any]:
    said = {name: value for name, value in more.items() if value is not None}
    wanted = {"wanted": what.described()} if isinstance(what, Wanted) and what.described() else {}
    return {"after": {"ids": list(ids), **wanted, **said}}


def _recorded(by: Principal, action: str, place: tuple[str, str], about: dict[str, Any], command: Command) -> Any:
    stream, group = place
    target = f"dead letters {stream}/{group}"
    audit.record(by, action, target, **about)
    try:
        (reply,) = connections.executor().execute([command])
        return answer(reply, stream)
    except Unavailable as problem:
        audit.record(by, f"{action} failed", target, after={"detail": problem.detail})
        raise


def _check_room(stream: str, group: str, more: int) -> None:
    (reply,) = connections.executor().execute([commands.zcard(keys.waiting(stream, group))])
    waiting: int = answer(reply, stream)
    if waiting + more > MAX_WAITING:
        raise TooManyWaiting(waiting)


def _published(letter: DeadLetter) -> str:
    if letter.timestamp:
        return letter.timestamp
    return datetime.fromtimestamp(int(letter.event_id.partition("-")[0]) / 1000, UTC).isoformat()
