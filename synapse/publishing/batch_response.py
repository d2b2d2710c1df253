"""The answer to a batch: what became of each event, in their order."""

from collections.abc import Sequence
from typing import Any

from synapse import problems
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.streams import BatchRefused, IdempotencyKeyReused, Unavailable
from synapse.http.exchange import Response, json_response
from synapse.problems import Forbidden, Problem
from synapse.publishing.idempotency import REPLAYED
from synapse.publishing.storage import Fate, Stored
from synapse.publishing.validation import Accepted
from synapse.redis import MANY, Conversation, in_parts


def answer(
    stream: StreamDefinition, outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]
) -> Conversation[Response]:
    """Answer 200 when all events were stored, 207 when some were.

    `outcomes` is what the checks said of all events, `fates` what became of the good ones, both in their order.

    Raises:
        Problem: when none was stored. `results` says why, for each.
    """
    fates = _fates_of_all(outcomes, fates)
    numbered = list(zip(range(len(outcomes)), outcomes, fates, strict=True))
    if len(numbered) <= MANY:
        results = [_shown(each) for each in numbered]
    else:
        results = yield from in_parts(numbered, _shown, at_once=20)
    statuses = [result["status"] for result in results]
    accepted = statuses.count("accepted")
    body = {
        "stream": stream.name,
        "accepted": accepted,
        "rejected": statuses.count("rejected"),
        "aborted": statuses.count("aborted"),
        "results": results,
    }
    if accepted:
        headers = {REPLAYED: "true"} if all("replayed" in result for result in results) else {}
        return json_response(body, status=200 if accepted == len(results) else 207, headers=headers)
    refused = _refusal([_problem(*pair) for pair in zip(outcomes, fates, strict=True)])
    # What belongs to one event stands in its result.
    refused.members.pop("id", None)
    refused.members.update(body)
    raise refused


def _fates_of_all(outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]) -> Sequence[Fate | None]:
    """Return what became of each event; None for those that the checks kept out, and for those that another one did."""
    if len(fates) == len(outcomes):
        return fates
    rest = iter(fates)
    return [None if isinstance(outcome, Problem) else next(rest) for outcome in outcomes]


def _problem(outcome: Accepted | Problem, fate: Fate | None) -> Problem | None:
    """Return what was wrong with an event, or kept it from being stored; None for one that was stored, or was good and
    left out for another's sake."""
    if isinstance(outcome, Problem):
        return outcome
    return fate.doubt if isinstance(fate, Stored) else fate


def _shown(numbered: tuple[int, Accepted | Problem, Fate | None]) -> dict[str, Any]:
    """Return one event's result: `accepted` when it was stored, `rejected` when it was wrong, `aborted` when it was
    good and is not stored, or not as safe as it is to be."""
    index, outcome, fate = numbered
    shown: dict[str, Any]
    if isinstance(fate, Stored) and fate.doubt is None:
        shown = {"index": index, "id": fate.id or None, "status": "accepted", "errors": []}
        if fate.repeated:
            shown["replayed"] = True
    else:
        problem = _problem(outcome, fate)
        status = "rejected" if isinstance(outcome, Problem) or isinstance(fate, IdempotencyKeyReused) else "aborted"
        shown = {"index": index, "id": None, "status": status, "errors": [] if problem is None else _errors(problem)}
    if isinstance(outcome, Accepted) and outcome.warnings and not isinstance(fate, IdempotencyKeyReused):
        shown["warnings"] = [violation.as_dict() for violation in outcome.warnings]
    return shown


def _refusal(found: Sequence[Problem | None]) -> Problem:
    # When Redis refused good events, sending them again is right: that answer is a 503, not a 422.
    for problem in found:
        if isinstance(problem, Unavailable):
            return problem
    for kind in (IdempotencyKeyReused, Forbidden):
        if found[0] is not None and all(isinstance(problem, kind) for problem in found):
            return found[0]
    return BatchRefused(f"None of the {len(found)} events was stored; “results” says why.")


def _errors(problem: Problem) -> list[dict[str, str]]:
    """Return what was wrong with one event of a batch: each violation of its contract, or the one problem."""
    kind = problems.TYPE_PREFIX + problem.slug
    own = {"id": problem.members["id"]} if "id" in problem.members else {}
    violations = problem.members.get("violations") or [{"message": problem.detail, **own}]
    return [{"type": kind, **violation} for violation in violations]
