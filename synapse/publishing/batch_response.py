"""The response to a batch: the result of each event, in their order."""

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

    `outcomes` are the results of the checks for all events, `fates` the results of storing the accepted ones, both in
    their order.

    Raises:
        Problem: when none was stored. `results` has the reason for each event.
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
    # Members that belong to one event stand in its result.
    refused.members.pop("id", None)
    refused.members.update(body)
    raise refused


def _fates_of_all(outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]) -> Sequence[Fate | None]:
    """Return the fate of each event; None for events that the checks refused, and for events left out because of
    another one."""
    if len(fates) == len(outcomes):
        return fates
    rest = iter(fates)
    return [None if isinstance(outcome, Problem) else next(rest) for outcome in outcomes]


def _problem(outcome: Accepted | Problem, fate: Fate | None) -> Problem | None:
    """Return the error that kept an event from being stored; None for an event that was stored, or was accepted and
    left out because of another one."""
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
    """Return the errors of one event of a batch: each violation of its contract, or the one problem."""
    kind = problems.TYPE_PREFIX + problem.slug
    own = {"id": problem.members["id"]} if "id" in problem.members else {}
    violations = problem.members.get("violations") or [{"message": problem.detail, **own}]
    return [{"type": kind, **violation} for violation in violations]
