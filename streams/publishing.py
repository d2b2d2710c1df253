"""The publish pipeline: from a request to commands, and from their replies to the answer. No I/O, no Django.

Both lanes call `publish` and `validate`, so both mean the same. How a body is read is in `reading.py`, what happens to
one event in `checking.py`; here the events are stored, together or each for itself, and the answer is made.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from core import problems
from core.http import Request, Response, json_response
from core.problems import BadParameter, Problem
from streams import checking, reading
from streams.broker import commands
from streams.broker.command import Command, Conversation, ReplyError
from streams.broker.script import load
from streams.checking import Accepted
from streams.definitions import Snapshot, StreamDefinition
from streams.errors import (
    BatchRefused,
    BrokerRefused,
    EventTooLarge,
    NotAStream,
    StreamFull,
    Unavailable,
    UnknownStream,
)
from streams.reading import Body
from streams.tally import Tally

_TOGETHER = load("publish_together")
# Redis takes no command of more words than this.
_MAX_WORDS = 1024 * 1024
# Of the violations in a batch, about so many are listed; explaining takes far longer than refusing.
MAX_EXPLAINED = 500
# How long a batch may keep the event loop at a stretch, in seconds.
_TURN = 0.005
_NOTHING: Mapping[str, str] = {}

T = TypeVar("T")
R = TypeVar("R")


def publish(
    request: Request, catalog: Snapshot, tally: Tally, *, body: Body | Problem | None = None
) -> Conversation[Response]:
    """Store the events of `POST /events/{stream}`. `body` is the request's, or what is wrong with it, if already read.

    One event answers 201 and its id. A batch answers a result for each: 200 when all were stored, 207 when some were.

    Raises:
        Problem: for everything else, each with its own status (see streams.errors).
    """
    stream = _stream(request, catalog)
    try:
        version = reading.contract_version(request)
        body = _read(request, body)
    except Problem:
        tally.add(stream.name, "refused")
        raise
    if body.batch:
        return (yield from _publish_batch(stream, body.items, request, tally, version))
    return (yield from _publish_one(stream, body, request, tally, version))


def _publish_one(
    stream: StreamDefinition, body: Body, request: Request, tally: Tally, version: int | None
) -> Conversation[Response]:
    try:
        accepted = checking.check(stream, body.items[0], version=version)
    except Problem:
        tally.add(stream.name, "refused")
        raise
    (stored,) = yield from _store(stream, [_encoded(stream, accepted, request, body.beside)], together=False)
    if isinstance(stored, Problem):
        raise stored
    _count(tally, stream, [accepted])
    ids = {"id": stored, "entry_id": stored, "message_id": stored}
    return json_response({**ids, **_description(stream, accepted)}, status=201)


def _publish_batch(
    stream: StreamDefinition, items: Sequence[Any], request: Request, tally: Tally, version: int | None
) -> Conversation[Response]:
    together = _is_true(request, "atomic")
    outcomes = yield from _all_checked(stream, items, version)
    good = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    refused = len(outcomes) - len(good)
    if refused:
        tally.add(stream.name, "refused", refused)
    stored: list[str | Problem | None] = [None] * len(good)
    if good and not (together and refused):
        entries = yield from in_parts(good, lambda found: _encoded(stream, found, request))
        stored = yield from _store(stream, entries, together=together)
    _count(tally, stream, [found for found, id_ in zip(good, stored, strict=True) if isinstance(id_, str)])
    return _batch_answer(stream, _fates(outcomes, stored))


def validate(request: Request, catalog: Snapshot, *, body: Body | Problem | None = None) -> Conversation[Response]:
    """Answer `POST /events/{stream}/validate`: what `publish` would say of the same body, and nothing is stored.

    Raises:
        Problem: as `publish` does, but for what only Redis can refuse.
    """
    stream = _stream(request, catalog)
    version = reading.contract_version(request)
    body = _read(request, body)
    outcomes = yield from _all_checked(stream, body.items, version)
    if body.batch:
        together = _is_true(request, "atomic") and any(isinstance(outcome, Problem) for outcome in outcomes)
        good = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
        return _batch_answer(stream, _fates(outcomes, [None if together else "" for _ in good]))
    if isinstance(outcomes[0], Problem):
        raise outcomes[0]
    return json_response({"valid": True, **_description(stream, outcomes[0])})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What became of one event of a batch: stored (with its id), refused for a problem of its own, or not stored
    although it was good."""

    status: Literal["accepted", "rejected", "aborted"]
    id: str | None = None
    problem: Problem | None = None
    accepted: Accepted | None = None


def _stream(request: Request, catalog: Snapshot) -> StreamDefinition:
    name = request.params["stream"]
    stream = catalog.streams.get(name)
    if stream is None:
        raise UnknownStream(name)
    return stream


def _read(request: Request, body: Body | Problem | None) -> Body:
    if isinstance(body, Problem):
        raise body
    return body or reading.read(request)


def _all_checked(
    stream: StreamDefinition, items: Sequence[Any], version: int | None
) -> Conversation[list[Accepted | Problem]]:
    explained = 0

    def check_one(item: Any) -> Accepted | Problem:
        nonlocal explained
        if isinstance(item, Problem):
            return item
        try:
            accepted = checking.check(stream, item, version=version, explain=explained < MAX_EXPLAINED)
        except Problem as problem:
            explained += len(problem.members.get("violations", ()))
            return problem
        explained += len(accepted.warnings)
        return accepted

    return (yield from in_parts(items, check_one))


def in_parts(items: Sequence[T], work: Callable[[T], R]) -> Conversation[list[R]]:
    """Do some work for each item, and let others go first every few milliseconds: a large batch must not keep them."""
    done: list[R] = []
    until = time.monotonic() + _TURN
    for item in items:
        done.append(work(item))
        if time.monotonic() > until:
            yield ()
            until = time.monotonic() + _TURN
    return done


def _encoded(
    stream: StreamDefinition, accepted: Accepted, request: Request, beside: Mapping[str, str] = _NOTHING
) -> list[bytes]:
    return checking.encode(
        stream,
        accepted,
        now=_now,
        source=request.principal.name,
        traceparent=request.headers.get("traceparent", ""),
        beside=beside,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _store(
    stream: StreamDefinition, entries: Sequence[Sequence[bytes]], *, together: bool
) -> Conversation[list[str | Problem | None]]:
    """Append the entries and return for each its id, or why Redis did not take it."""
    if stream.when_full == "reject":
        groups = [entries] if together else [[fields] for fields in entries]
        replies = yield [_append_unless_full(stream, group) for group in groups]
        return [
            fate
            for group, reply in zip(groups, replies, strict=True)
            for fate in _fates_of_script(stream, reply, len(group))
        ]
    appends = [commands.xadd(stream.name, fields) for fields in entries]
    if together:
        replies = yield [commands.multi(), *appends, commands.execute(appends)]
        done = replies[-1]
        return [_fate_of(stream, reply) for reply in (done if isinstance(done, list) else [done] * len(appends))]
    return [_fate_of(stream, reply) for reply in (yield appends)]


def _append_unless_full(stream: StreamDefinition, entries: Sequence[Sequence[bytes]]) -> Command:
    words: list[bytes | int] = [stream.hard_length]
    for fields in entries:
        words.append(len(fields))
        words.extend(fields)
    if len(words) > _MAX_WORDS - 10:
        raise EventTooLarge("The batch has too many properties to be stored at once; send it in parts.")
    return _TOGETHER.call([stream.name], words)


def _fates_of_script(stream: StreamDefinition, reply: Any, count: int) -> list[str | Problem | None]:
    if reply is None:
        full = StreamFull(f"The stream “{stream.name}” holds {stream.hard_length} events and takes no more.")
        return [full] * count
    return [_fate_of(stream, part) for part in (reply if isinstance(reply, list) else [reply] * count)]


def _fate_of(stream: StreamDefinition, reply: Any) -> str | Problem:
    if isinstance(reply, ReplyError):
        if reply.code == "WRONGTYPE":
            return NotAStream(stream.name)
        return BrokerRefused(f"Redis did not store the event: {reply}.")
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _description(stream: StreamDefinition, accepted: Accepted) -> dict[str, Any]:
    described: dict[str, Any] = {
        "stream": stream.name,
        "event_type": accepted.event_type,
        "contract_version": accepted.contract_version,
    }
    if accepted.warnings:
        described["warnings"] = [violation.as_dict() for violation in accepted.warnings]
    return described


def _fates(outcomes: Sequence[Accepted | Problem], stored: Sequence[str | Problem | None]) -> list[_Fate]:
    """Join what the checks said of all events with what Redis said of the good ones."""
    rest = iter(stored)
    return [_fate(outcome, None if isinstance(outcome, Problem) else next(rest)) for outcome in outcomes]


def _fate(outcome: Accepted | Problem, stored: str | Problem | None) -> _Fate:
    if isinstance(outcome, Problem):
        return _Fate(status="rejected", problem=outcome)
    if isinstance(stored, str):
        return _Fate(status="accepted", id=stored or None, accepted=outcome)
    return _Fate(status="aborted", problem=stored, accepted=outcome)


def _batch_answer(stream: StreamDefinition, fates: Sequence[_Fate]) -> Response:
    counts = Counter(fate.status for fate in fates)
    answer = {
        "stream": stream.name,
        "accepted": counts["accepted"],
        "rejected": counts["rejected"],
        "aborted": counts["aborted"],
        "results": [_result(index, fate) for index, fate in enumerate(fates)],
    }
    if counts["accepted"]:
        return json_response(answer, status=200 if counts["accepted"] == len(fates) else 207)
    # When Redis refused good events, sending them again is right: that answer is a 503, not a 422.
    unavailable = next((fate.problem for fate in fates if isinstance(fate.problem, Unavailable)), None)
    refused = unavailable or BatchRefused(f"None of the {len(fates)} events was stored; “results” says why.")
    refused.members.update(answer)
    raise refused


def _result(index: int, fate: _Fate) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index, "id": fate.id, "status": fate.status, "errors": _errors(fate.problem)}
    if fate.accepted is not None and fate.accepted.warnings:
        result["warnings"] = [violation.as_dict() for violation in fate.accepted.warnings]
    return result


def _errors(problem: Problem | None) -> list[dict[str, str]]:
    """Return what was wrong with one event of a batch: each violation of its contract, or the one problem."""
    if problem is None:
        return []
    kind = problems.TYPE_PREFIX + problem.slug
    violations = problem.members.get("violations") or [{"message": problem.detail}]
    return [{"type": kind, **violation} for violation in violations]


def _count(tally: Tally, stream: StreamDefinition, stored: Sequence[Accepted]) -> None:
    if not stored:
        return
    tally.add(stream.name, "published", len(stored))
    if warned := sum(1 for accepted in stored if accepted.warnings):
        tally.add(stream.name, "warned", warned)
    if unregistered := sum(1 for accepted in stored if not accepted.registered):
        tally.add(stream.name, "unregistered", unregistered)


def _is_true(request: Request, parameter: str) -> bool:
    text = request.query.get(parameter, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise BadParameter(f"“{parameter}” is true or false.", parameter=parameter)
    return text in ("true", "1")
