"""The response to a batch: the result of each event, in the order of the events."""

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
from synapse.publishing.storage import Stored, StoreOutcome
from synapse.publishing.validation import Accepted
from synapse.redis import MANY, Conversation, map_cooperatively

# The number of results that are serialised without a pause.
_AT_ONCE = 100
_NO_ERRORS: list[Any] = []


def answer(
    stream: StreamDefinition, outcomes: Sequence[Accepted | Problem], store_outcomes: Sequence[StoreOutcome | None]
) -> Conversation[Response]:
    """Return the response to a batch: 200 when all events were stored, 207 when some were, else a problem. Its member
    `results` has the result of each event.

    Args:
        outcomes: the results of checking all events, in the order of the batch.
        store_outcomes: the results of storing the accepted events, in the same order; None for an event that was left
            out because another one was refused.
    """
    if len(outcomes) > MANY:
        yield ()
    results = _Results(outcomes, store_outcomes)
    parts = yield from map_cooperatively(range(0, len(outcomes), _AT_ONCE), results.write)
    return results.response(stream, parts)


class _Results:
    """Serialises the results of a batch in parts, and counts them by status."""

    def __init__(self, outcomes: Sequence[Accepted | Problem], store_outcomes: Sequence[StoreOutcome | None]) -> None:
        self._outcomes = outcomes
        self._store_outcomes = iter(store_outcomes)
        self._statuses: Counter[str] = Counter()
        self._replayed = 0
        # The first problem of each kind, in the order of the events.
        self._problems: dict[type, Problem | None] = {}

    def write(self, start: int) -> bytes:
        """Return the results of up to `_AT_ONCE` events from index `start` as JSON, separated by commas."""
        results = []
        rest = self._store_outcomes
        for index, outcome in enumerate(self._outcomes[start : start + _AT_ONCE], start):
            store_outcome = None if isinstance(outcome, Problem) else next(rest)
            if type(store_outcome) is Stored and not (store_outcome[1] or store_outcome[2] or outcome.warnings):  # type: ignore[union-attr]
                # The common case of `result_of_event`, inlined because it is reached for most events.
                results.append(
                    {"index": index, "id": store_outcome[0] or None, "status": "accepted", "errors": _NO_ERRORS}
                )
                continue
            problem = problem_of_event(outcome, store_outcome)
            self._problems.setdefault(type(problem), problem)
            shown = result_of_event(index, outcome, store_outcome, problem)
            self._statuses[shown["status"]] += 1
            self._replayed += "replayed" in shown
            results.append(shown)
        return orjson.dumps(results, default=written)[1:-1]

    def response(self, stream: StreamDefinition, results: Sequence[bytes]) -> Response:
        """Return the response, given the serialised results of all events."""
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
        # The id of a single event belongs to its result.
        members = {name: value for name, value in document(refused).items() if name != "id"}
        return listing_response(
            {**members, **body},
            "results",
            results,
            status=refused.status,
            content_type=PROBLEM_JSON,
            headers=refused.headers,
        )


def problem_of_event(outcome: Accepted | Problem, store_outcome: StoreOutcome | None) -> Problem | None:
    """Return the error that kept an event from being stored; None for an event that was stored, and for an accepted
    event that was left out because another one was refused."""
    if isinstance(outcome, Problem):
        return outcome
    return store_outcome.doubt if isinstance(store_outcome, Stored) else store_outcome


def result_of_event(
    index: int, outcome: Accepted | Problem, store_outcome: StoreOutcome | None, problem: Problem | None
) -> dict[str, Any]:
    """Return the result of one event: `accepted` when it was stored, `rejected` when it is invalid, `aborted` when it
    is valid and was not stored, or not with the durability that the stream demands."""
    shown: dict[str, Any]
    if isinstance(store_outcome, Stored) and problem is None:
        shown = {"index": index, "id": store_outcome.id or None, "status": "accepted", "errors": []}
        if store_outcome.repeated:
            shown["replayed"] = True
    else:
        status = (
            "rejected" if isinstance(outcome, Problem) or isinstance(store_outcome, IdempotencyKeyReused) else "aborted"
        )
        shown = {"index": index, "id": None, "status": status, "errors": [] if problem is None else _errors(problem)}
    if isinstance(outcome, Accepted) and outcome.warnings and not isinstance(store_outcome, IdempotencyKeyReused):
        shown["warnings"] = [violation.as_dict() for violation in outcome.warnings]
    return shown


def refusal(found: Sequence[Problem | None], count: int) -> Problem:
    """Return the problem that stands for a batch of `count` events of which none was stored.

    Args:
        found: the first problem of each kind, in the order of the events.
    """
    # Redis refused valid events: publishers are to send them again, which a 503 tells them, and a 422 would not.
    for problem in found:
        if isinstance(problem, Unavailable):
            return problem
    for kind in (IdempotencyKeyReused, Forbidden):
        if found[0] is not None and all(isinstance(problem, kind) for problem in found):
            return found[0]
    return BatchRefused(f"None of the {count} events was stored; “results” says why.")


def _errors(problem: Problem) -> list[dict[str, str]]:
    """Return the errors of one event of a batch: each violation of its contract, or its only problem."""
    kind = TYPE_PREFIX + problem.slug
    own = {"id": problem.members["id"]} if "id" in problem.members else {}
    violations = problem.members.get("violations") or [{"message": problem.detail, **own}]
    return [{"type": kind, **violation} for violation in violations]
