"""Check events that `synapse.publishing.validation` leaves undecided against their contracts.

A check of a few milliseconds runs in place. A check that could take longer runs in a child process (`synapse.sandbox`):
the validator's machine code cannot be interrupted, and blocks all threads of this process.
"""

from collections.abc import Callable, Sequence
from typing import Any

from synapse.auth.principal import SYSTEM, Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.contracts import TooCostly
from synapse.problems import Problem
from synapse.publishing.validation import Accepted, DeferredCheck, check, conclude
from synapse.redis import Conversation, Job
from synapse.sandbox import check_event
from synapse.schema.cost.guard import LOOP_STEPS, MAX_STEPS
from synapse.schema.explanation import OutOfBudget
from synapse.schema.violations import Violation
from synapse.shares import CallerId

# The greatest number of events in a job, and of the steps of all its events: afterwards, other callers' jobs run. The
# steps are as many as the most costly event may need.
_MOST_OF_JOB, _STEPS_OF_JOB = 500, MAX_STEPS

# The result of validating an event, as `validation.conclude` takes it.
_Found = Sequence[Violation] | TooCostly | None


def check_in_thread(
    stream: StreamDefinition, value: Any, *, version: int | None = None, by: Principal = SYSTEM
) -> Accepted:
    """Check an event like `validation.check`, and wait for the child process when it has to validate the event.

    Raises:
        Problem: as `validation.check` and `validation.conclude` do.
        SandboxBusy: when the child process has too many jobs.
    """
    found = check(stream, value, version=version, by=by)
    if isinstance(found, Accepted):
        return found
    try:
        return conclude(stream, found, _check_here(found))
    except OutOfBudget:
        return conclude(stream, found, _ask_child(found))


def decide(stream: StreamDefinition, undecided: DeferredCheck, caller: CallerId) -> Conversation[Accepted]:
    """Validate an undecided event, and return it when it is accepted.

    Raises:
        Problem: as `validation.conclude` does.
        ShareUsedUp, AllInUse, SandboxBusy: when too many costly events wait already.
    """
    # Other requests first: many costly events may arrive at once.
    yield ()
    try:
        return conclude(stream, undecided, _check_here(undecided))
    except OutOfBudget:
        pass
    (found,) = yield _job(caller, [undecided])
    return conclude(stream, undecided, found)


class CostlyEvents:
    """The costly events of a batch, and the events after them, in the order of the batch. One job validates many.

    `waiting` and `is_full` are read for each event of a batch, so they are attributes: a method call would cost more
    than the rest of the work on an event.

    Attributes:
        waiting: the events that wait for a job, each with its index and value.
        is_full: whether the waiting events are enough for a job.
    """

    def __init__(
        self,
        stream: StreamDefinition,
        caller: CallerId,
        decided: Callable[[int, Any, Accepted | Problem], bool],
    ) -> None:
        """Keep events of `stream`.

        Args:
            caller: whose share of the child process's time the jobs use.
            decided: called with the index, value and outcome of each event; returns whether the violations of the
                following events are to be explained.
        """
        self._stream = stream
        self._caller = caller
        self._decided = decided
        self.waiting: list[tuple[int, Any, Accepted | DeferredCheck]] = []
        self.is_full = False
        self._steps = 0.0
        self._explain = True

    def try_here(self, undecided: DeferredCheck, *, explain: bool) -> Accepted | DeferredCheck:
        """Validate an event in this process when that takes a few milliseconds, else return it undecided.

        Raises:
            Problem: as `validation.conclude` does.
        """
        try:
            return conclude(self._stream, undecided, _check_here(undecided, explain=explain))
        except OutOfBudget as end:
            self._steps += end.steps
            return undecided

    def add(self, place: int, item: Any, found: Accepted | DeferredCheck) -> None:
        """Let an event wait for a job."""
        self.waiting.append((place, item, found))
        self.is_full = self._steps >= _STEPS_OF_JOB or len(self.waiting) >= _MOST_OF_JOB

    def check_waiting(self) -> Conversation[None]:
        """Validate all waiting events.

        Raises:
            ShareUsedUp, AllInUse, SandboxBusy: as `decide` does.
        """
        waiting, self.waiting = self.waiting, []
        self.is_full, self._steps = False, 0.0
        undecided = [found for _, _, found in waiting if isinstance(found, DeferredCheck)]
        answers = iter((yield _job(self._caller, undecided, explain=self._explain)) if undecided else ())
        for place, item, found in waiting:
            outcome: Accepted | Problem
            try:
                outcome = found if isinstance(found, Accepted) else conclude(self._stream, found, next(answers))
            except Problem as problem:
                outcome = problem.with_traceback(None)
            self._explain = self._decided(place, item, outcome)


def _check_here(undecided: DeferredCheck, *, explain: bool = True) -> _Found:
    """Validate an event in this process.

    Raises:
        OutOfBudget: when that would take more than a few milliseconds.
    """
    try:
        return undecided.contract.schema.check(undecided.event, explain=explain, steps=LOOP_STEPS)
    except TooCostly as problem:
        return problem.with_traceback(None)


def _ask_child(undecided: DeferredCheck, *, explain: bool = True) -> _Found:
    try:
        return check_event(undecided.contract.schema, undecided.event, explain=explain)
    except TooCostly as problem:
        return problem.with_traceback(None)


def _job(caller: CallerId, events: Sequence[DeferredCheck], *, explain: bool = True) -> Job:
    return Job(caller, lambda: [_ask_child(each, explain=explain) for each in events])
