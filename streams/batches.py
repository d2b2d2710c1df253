"""The answer to a batch: what became of each event, in their order. No I/O, no Django."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from core import problems
from core.http import Response, json_response
from core.problems import Forbidden, Problem
from streams.checking import Accepted
from streams.definitions import StreamDefinition
from streams.errors import BatchRefused, IdempotencyKeyReused, Unavailable
from streams.idempotency import REPLAYED
from streams.storing import Stored


class Result(NamedTuple):
    """What became of one event of a batch: stored (with its id), refused for a problem of its own, or not stored
    although it was good."""

    status: Literal["accepted", "rejected", "aborted"]
    id: str | None = None
    problem: Problem | None = None
    accepted: Accepted | None = None
    replayed: bool = False


def results(outcomes: Sequence[Accepted | Problem], stored: Sequence[Stored | Problem | None]) -> list[Result]:
    """Join what the checks said of all events with what became of the good ones: None is not stored for another's
    sake."""
    rest = iter(stored)
    return [
        Result("rejected", None, outcome) if isinstance(outcome, Problem) else _result(outcome, next(rest))
        for outcome in outcomes
    ]


def answer(stream: StreamDefinition, found: Sequence[Result]) -> Response:
    """Answer 200 when all events were stored, 207 when some were.

    Raises:
        Problem: when none was. `results` says why, for each.
    """
    counts = Counter(result.status for result in found)
    body = {
        "stream": stream.name,
        "accepted": counts["accepted"],
        "rejected": counts["rejected"],
        "aborted": counts["aborted"],
        "results": [_shown(index, result) for index, result in enumerate(found)],
    }
    if counts["accepted"]:
        headers = {REPLAYED: "true"} if all(result.replayed for result in found) else {}
        return json_response(body, status=200 if counts["accepted"] == len(found) else 207, headers=headers)
    refused = _refusal([result.problem for result in found])
    # What belongs to one event stands in its result.
    refused.members.pop("id", None)
    refused.members.update(body)
    raise refused


def _result(outcome: Accepted, stored: Stored | Problem | None) -> Result:
    if isinstance(stored, Stored) and stored.doubt is None:
        return Result._make(("accepted", stored.id or None, None, outcome, stored.repeated))
    if isinstance(stored, IdempotencyKeyReused):
        return Result(status="rejected", problem=stored)
    return Result(status="aborted", problem=stored.doubt if isinstance(stored, Stored) else stored, accepted=outcome)


def _refusal(found: Sequence[Problem | None]) -> Problem:
    # When Redis refused good events, sending them again is right: that answer is a 503, not a 422.
    for problem in found:
        if isinstance(problem, Unavailable):
            return problem
    for kind in (IdempotencyKeyReused, Forbidden):
        if found[0] is not None and all(isinstance(problem, kind) for problem in found):
            return found[0]
    return BatchRefused(f"None of the {len(found)} events was stored; “results” says why.")


def _shown(index: int, result: Result) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "index": index,
        "id": result.id,
        "status": result.status,
        "errors": [] if result.problem is None else _errors(result.problem),
    }
    if result.replayed:
        shown["replayed"] = True
    if result.accepted is not None and result.accepted.warnings:
        shown["warnings"] = [violation.as_dict() for violation in result.accepted.warnings]
    return shown


def _errors(problem: Problem) -> list[dict[str, str]]:
    """Return what was wrong with one event of a batch: each violation of its contract, or the one problem."""
    kind = problems.TYPE_PREFIX + problem.slug
    own = {"id": problem.members["id"]} if "id" in problem.members else {}
    violations = problem.members.get("violations") or [{"message": problem.detail, **own}]
    return [{"type": kind, **violation} for violation in violations]
