"""The response to a batch: the result of each event, in their order."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.streams import BatchRefused, IdempotencyKeyReused, Unavailable
from synapse.formats.exact_json import written
from synapse.http.exchange import Response, listing_response
from synapse.problems import PROBLEM_JSON, TYPE_PREFIX, Forbidden, Problem, document
from synapse.publishing.idempotency import REPLAYED
from synapse.publishing.storage import Fate, Stored
from synapse.publishing.validation import Accepted
from synapse.redis import MANY, Conversation, map_cooperatively

# Results of this many events are written at once.
_AT_ONCE = 100
_NO_ERRORS: list[Any] = []


def answer(
    stream: StreamDefinition, outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]
) -> Conversation[Response]:
    """Answer 200 when all events were stored, 207 when some were; else with the problem. `results` says why, for each.

    `outcomes` are the results of the checks for all events, `fates` the results of storing the accepted ones, both in
    their order; None where another event's fault kept one out.
    """
    if len(outcomes) > MANY:
        yield ()
    results = _Results(outcomes, fates)
    parts = yield from map_cooperatively(range(0, len(outcomes), _AT_ONCE), results.write)
    return results.response(stream, parts)


class _Results:
    """The results of a batch's events. They are written in parts, and counted on the way."""

    def __init__(self, outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]) -> None:
        self._outcomes = outcomes
        self._rest = iter(fates)
        self._statuses: Counter[str] = Counter()
        self._replayed = 0
        # The first problem of each kind, in the order of the events.
        self._problems: dict[type, Problem | None] = {}

    def write(self, start: int) -> bytes:
        """Return the results of the events from a place on, as JSON with commas between."""
        results = []
        rest = self._rest
        for index, outcome in enumerate(self._outcomes[start : start + _AT_ONCE], start):
            fate = None if isinstance(outcome, Problem) else next(rest)
            if type(fate) is Stored and not (fate[1] or fate[2] or outcome.warnings):  # type: ignore[union-attr]
                # As `_shown` does, without calls: most events of most batches come here.
                results.append({"index": index, "id": fate[0] or None, "status": "accepted", "errors": _NO_ERRORS})
                continue
            problem = problem_of_event(outcome, fate)
            self._problems.setdefault(type(problem), problem)
            shown = result_of_event(index, outcome, fate, problem)
            self._statuses[shown["status"]] += 1
            self._replayed += "replayed" in shown
            results.append(shown)
        return orjson.dumps(results, default=written)[1:-1]

    def response(self, stream: StreamDefinition, results: Sequence[bytes]) -> Response:
        """Return the answer with the written results, once all of them are."""
        count, statuses = len(self._outcomes), self._statuses
        accepted = count - statuses["rejected"] - statuses["aborted"]
        body = {
            "stream": stream.name,
            "accepted": accepted,
            "rejected": statuses["rejected"],
            "aborted": statuses["aborted"],
            "results": None,
        }
        if accepted or not count:
            headers = {REPLAYED: "true"} if count and self._replayed == count else {}
            return listing_response(body, "results", results, status=200 if accepted == count else 207, headers=headers)
        refused = refusal(list(self._problems.values()), count)
        # The fields of one event are in its result.
        told = {name: value for name, value in document(refused).items() if name != "id"}
        return listing_response(
            {**told, **body},
            "results",
            results,
            status=refused.status,
            content_type=PROBLEM_JSON,
            headers=refused.headers,
        )


def problem_of_event(outcome: Accepted | Problem, fate: Fate | None) -> Problem | None:
    """Return the error that kept an event from being stored; None for an event that was stored, or was accepted and
    left out because of another one."""
    if isinstance(outcome, Problem):
        return outcome
    return fate.doubt if isinstance(fate, Stored) else fate


def result_of_event(
    index: int, outcome: Accepted | Problem, fate: Fate | None, problem: Problem | None
) -> dict[str, Any]:
    """Return one event's result: `accepted` when it was stored, `rejected` when it was wrong, `aborted` when it was
    good and is not stored, or not as safe as it is to be."""
    shown: dict[str, Any]
    if isinstance(fate, Stored) and problem is None:
        shown = {"index": index, "id": fate.id or None, "status": "accepted", "errors": []}
        if fate.repeated:
            shown["replayed"] = True
    else:
        status = "rejected" if isinstance(outcome, Problem) or isinstance(fate, IdempotencyKeyReused) else "aborted"
        shown = {"index": index, "id": None, "status": status, "errors": [] if problem is None else _errors(problem)}
    if isinstance(outcome, Accepted) and outcome.warnings and not isinstance(fate, IdempotencyKeyReused):
        shown["warnings"] = [violation.as_dict() for violation in outcome.warnings]
    return shown


def refusal(found: Sequence[Problem | None], count: int) -> Problem:
    # When Redis refused good events, sending them again is right: that answer is a 503, not a 422.
    for problem in found:
        if isinstance(problem, Unavailable):
            return problem
    for kind in (IdempotencyKeyReused, Forbidden):
        if found[0] is not None and all(isinstance(problem, kind) for problem in found):
            return found[0]
    return BatchRefused(f"None of the {count} events was stored; “results” says why.")


def _errors(problem: Problem) -> list[dict[str, str]]:
    """Return the errors of one event of a batch: each violation of its contract, or the one problem."""
    kind = TYPE_PREFIX + problem.slug
    own = {"id": problem.members["id"]} if "id" in problem.members else {}
    violations = problem.members.get("violations") or [{"message": problem.detail, **own}]
    return [{"type": kind, **violation} for violation in violations]
