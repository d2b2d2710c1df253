"""Redrive and discard dead letters. Each action is recorded in the audit log before it runs in Redis.

The two cannot share a transaction. So a second audit entry is written when the outcome differs, or when Redis is
unavailable.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridges import snapshot
from bridges.dead_letters import revalidation
from bridges.dead_letters.permissions import ACTING, demand_editing
from bridges.dead_letters.queries import check_id, get, scan
from core import audit
from streams import connections
from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.attributes import attributes_of_edited
from synapse.dead_letters import Cursor, DeadLetterCriteria, Discarded, Edited, Ids, Redriven, read_cursor
from synapse.errors.delivery import BadEdit, TooManyWaiting
from synapse.formats import exact_json
from synapse.publishing import validation
from synapse.redis import Command, RedisUnavailable, answer, keyspace
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.delivery import MAX_WAITING, netstring
from synapse.wire.encoding import CLOUDEVENT, TRACESTATE, decode_texts
from synapse.wire.ids import iso_of, moment_of
from synapse.wire.masking import mask_of_event
from synapse.wire.trace_context import trace_fields

MOST_AT_ONCE = 1000
MOST_REASON = 500
# An audit entry names at most this many ids, and otherwise their number.
MOST_RECORDED = 100


def redrive(
    stream: str,
    group: str,
    what: Ids | DeadLetterCriteria,
    *,
    by: Principal,
    rate: float | None = None,
    cursor: str = "",
    most: int = MOST_AT_ONCE,
    clock: Callable[[], float] = time.time,
) -> Redriven:
    """Redrive at most `most` (1000) of the selected dead letters; the records of their attempts stay.

    With `rate`, that many become due per second. `cursor`, from the previous result, continues at the same rate and
    skips events that became dead letters since then. In an ordered group, redriven events come after later events of
    their key that were already delivered.

    Raises:
        Forbidden: when the caller may not act on these dead letters; all actions here demand that.
        BadEdit: when more than a thousand ids are given.
        BadParameter: when the cursor is invalid.
        NoSuchDeadLetter: when an id is invalid.
        TooManyWaiting: when so many events wait in the group that no more can be added.
        RedisUnavailable: when Redis cannot be used. Its subclass `ReplyLost` means that the action may have happened;
            repeating the call is safe.
    """
    ACTING.demand(by, stream)
    begun = read_cursor(cursor)
    ids, past = _select_ids(stream, group, what, by=by, past=begun.past, most=most)
    now_ms = int(clock() * 1000)
    first_ms = max(begun.due_ms, now_ms) if rate else now_ms
    step_ms = 1000 / rate if rate else 0.0
    following = None if past is None else str(Cursor(past, int(first_ms + len(ids) * step_ms) if rate else 0))
    if not ids:
        return Redriven(cursor=following)
    _check_room(stream, group, len(ids))
    command = dead_letter_commands.replay(
        stream,
        group,
        [(id_, b"") for id_ in ids],
        delay_ms=first_ms - now_ms,
        step_ms=step_ms,
        actor=str(by),
        logs=snapshot.holder.keeps_log(stream, group),
    )
    answers = _record_and_run(by, "redrive", (stream, group), _audit_values(what, ids, rate=rate), command)
    redriven = Redriven.from_results(ids, answers, cursor=following)
    others = {"gone": redriven.gone, "waiting": redriven.waiting, "broken": redriven.broken}
    _record_rest(by, "redrive", (stream, group), meant=len(ids), done=redriven.moved, **others)
    return redriven


def redrive_edited(stream: str, group: str, id_: str, event: Any, *, by: Principal) -> Edited:
    """Redrive a dead letter with an edited event, which is checked like a published one.

    It keeps its id and, where the event itself does not name them, the time and source of its publish. A CloudEvent
    keeps its identifying attributes.

    Raises:
        Forbidden: also when the dead letter holds PII that the caller may not see.
        NoSuchDeadLetter: when there is none with this id.
        UnknownStream: when the stream is not defined any more.
        Problem: when the event would be refused (see synapse.publishing.validation).
        TooManyWaiting, RedisUnavailable: as `redrive` does.
    """
    ACTING.demand(by, stream)
    letter = get(stream, group, id_)
    demand_editing(letter, by)
    definition, accepted = revalidation.accept_event(stream, event)
    published = letter.timestamp or iso_of(moment_of(letter.event_id)) or ""
    beside = dict(trace_fields(letter.data.get("traceparent", ""), letter.data.get(TRACESTATE, "")))
    came = decode_texts(dict(letter.data)).cloudevent
    if came is not None:
        kept = attributes_of_edited(came, has_same_type=accepted.event_type == letter.event_type)
        beside[CLOUDEVENT] = exact_json.dumps(kept).decode()
    parts = validation.encode(definition, accepted, now=lambda: published, source=letter.source or "", beside=beside)
    _check_room(stream, group, 1)
    body = b"".join(netstring(part.encode()) for part in parts)
    logs = snapshot.holder.keeps_log(stream, group)
    command = dead_letter_commands.replay(stream, group, [(id_, body)], actor=str(by), logs=logs)
    # Masked by both types: an edit may keep values while it changes the type.
    types = (letter.event_type, accepted.event_type)
    about = {
        "before": {"event": _mask_event(definition, letter.event, types)},
        "after": {"count": 1, "ids": [id_], "event": _mask_event(definition, accepted.event, types)},
    }
    answers = _record_and_run(by, "redrive edited", (stream, group), about, command)
    redriven = Redriven.from_results([id_], answers)
    _record_rest(by, "redrive edited", (stream, group), meant=1, done=redriven.moved, result=answers[0])
    return Edited(
        redriven=redriven,
        event=accepted.event,
        contract_version=accepted.contract_version,
        warnings=tuple(violation.as_dict() for violation in accepted.warnings),
    )


def discard(
    stream: str,
    group: str,
    what: Ids | DeadLetterCriteria,
    *,
    by: Principal,
    reason: str,
    cursor: str = "",
    most: int = MOST_AT_ONCE,
) -> Discarded:
    """Discard at most `most` (1000) of the selected dead letters, and record the caller with the `reason`.

    Raises:
        BadEdit: when no reason is given, or more than a thousand ids are.
        BadParameter, NoSuchDeadLetter, RedisUnavailable: as `redrive` does.
    """
    ACTING.demand(by, stream)
    reason = " ".join(reason.split())[:MOST_REASON]
    if not reason:
        raise BadEdit("Say why: the reason is recorded.")
    ids, following = _select_ids(stream, group, what, by=by, past=read_cursor(cursor).past, most=most)
    if not ids:
        return Discarded(cursor=following)
    logs = snapshot.holder.keeps_log(stream, group)
    command = dead_letter_commands.discard(stream, group, ids, actor=str(by), logs=logs)
    done = _record_and_run(by, "discard", (stream, group), _audit_values(what, ids, reason=reason), command)
    _record_rest(by, "discard", (stream, group), meant=len(ids), done=done, gone=len(ids) - done)
    return Discarded(count=done, gone=len(ids) - done, cursor=following)


def _select_ids(
    stream: str, group: str, what: Ids | DeadLetterCriteria, *, by: Principal, past: str, most: int
) -> tuple[list[str], str | None]:
    """Return the ids of the selected dead letters, each once, and the id to continue after."""
    most = max(1, min(most, MOST_AT_ONCE))
    if isinstance(what, Ids):
        ids = list(dict.fromkeys(map(check_id, what.ids)))
        if len(ids) > MOST_AT_ONCE:
            raise BadEdit(f"{len(ids):,} dead letters are named; at most {MOST_AT_ONCE:,} can be at once.")
        return ids, None
    # Scanned newest first, so that letters that fail again meanwhile are not selected twice. A part is redriven oldest
    # first.
    ids, following, _ = scan(stream, group, what, lambda letter: letter.id, by=by, limit=most, past=past)
    return ids[::-1], following


def _audit_values(what: Ids | DeadLetterCriteria, ids: Sequence[str], **more: Any) -> dict[str, Any]:
    said = {name: value for name, value in more.items() if value is not None}
    wanted = {"wanted": what.describe()} if isinstance(what, DeadLetterCriteria) and what.describe() else {}
    return {"after": {"count": len(ids), "ids": list(ids[:MOST_RECORDED]), **wanted, **said}}


def _record_and_run(by: Principal, action: str, place: tuple[str, str], about: dict[str, Any], command: Command) -> Any:
    audit.record(by, action, _target_of(place), **about)
    try:
        (reply,) = connections.executor().execute([command])
        return answer(reply, place[0])
    except RedisUnavailable as problem:
        audit.record(by, f"{action} failed", _target_of(place), after={"detail": problem.detail})
        raise


def _record_rest(by: Principal, action: str, place: tuple[str, str], **came_out: Any) -> None:
    """Record that an action affected fewer dead letters than its first audit entry says."""
    if came_out["done"] < came_out["meant"]:
        audit.record(by, f"{action} in part", _target_of(place), after=came_out)


def _mask_event(stream: StreamDefinition, event: Mapping[str, Any], event_types: Sequence[str]) -> Any:
    """Return an event for the audit log, with PII masked: the log outlives the event and has more readers."""
    mask = mask_of_event(stream, event, *event_types)
    return dict(event) if mask is None else mask.event(event)


def _target_of(place: tuple[str, str]) -> str:
    return "dead letters {}/{}".format(*place)


def _check_room(stream: str, group: str, more: int) -> None:
    (reply,) = connections.executor().execute([stream_commands.zcard(keyspace.waiting(stream, group))])
    waiting: int = answer(reply, stream)
    if waiting + more > MAX_WAITING:
        raise TooManyWaiting(waiting)
