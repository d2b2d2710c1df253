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

# The greatest number of events in a job, and of steps, which are those of the most costly event: then others have their
# turn.
_MOST_OF_JOB, _STEPS_OF_JOB = 500, MAX_STEPS

# The result of checking an event, as `checking.conclude` takes it.
_Found = Sequence[Violation] | TooCostly | None


def check_in_thread(
    stream: StreamDefinition, value: Any, *, version: int | None = None, by: Principal = SYSTEM
) -> Accepted:
    """Return an event that is ready to be encoded, as `checking.check` does, and wait for the child where it is asked.

    Raises:
        Problem: as `checking.check` and `checking.conclude` do.
        SandboxBusy: when the child has too much to do.
    """
    found = check(stream, value, version=version, by=by)
    if isinstance(found, Accepted):
        return found
    try:
        return conclude(stream, found, _check_here(found))
    except OutOfBudget:
        return conclude(stream, found, _ask_child(found))


def decide(stream: StreamDefinition, undecided: DeferredCheck, caller: CallerId) -> Conversation[Accepted]:
    """Return the event when its contract lets it pass.

    Raises:
        Problem: as `checking.conclude` does.
        ShareUsedUp, AllInUse, SandboxBusy: when too many costly events wait already.
    """
    # Many such may come in the same moment.
    yield ()
    try:
        return conclude(stream, undecided, _check_here(undecided))
    except OutOfBudget:
        pass
    (found,) = yield _job(caller, [undecided])
    return conclude(stream, undecided, found)


class CostlyEvents:
    """The costly events of a batch, and the events behind them, in their order. One job validates many of them.

    The values that are read for each event of a batch are attributes: a method call would cost more than all else here.

    Attributes:
        waiting: Those that wait, each with its place and value.
        is_full: Whether they are enough for a job.
    """

    def __init__(
        self,
        stream: StreamDefinition,
        caller: CallerId,
        decided: Callable[[int, Any, Accepted | Problem], bool],
    ) -> None:
        """Keep events of `stream`.

        `decided` is called with each event's place, value and outcome, and says whether to explain the next ones.
        """
        self._stream = stream
        self._caller = caller
        self._decided = decided
        self.waiting: list[tuple[int, Any, Accepted | DeferredCheck]] = []
        self.is_full = False
        self._steps = 0.0
        self._explain = True

    def try_here(self, undecided: DeferredCheck, *, explain: bool) -> Accepted | DeferredCheck:
        """Validate an event if that takes a few milliseconds; return it undecided otherwise.

        Raises:
            Problem: as `checking.conclude` does.
        """
        try:
            return conclude(self._stream, undecided, _check_here(undecided, explain=explain))
        except OutOfBudget as end:
            self._steps += end.steps
            return undecided

    def add(self, place: int, item: Any, found: Accepted | DeferredCheck) -> None:
        """Add an event to those that wait."""
        self.waiting.append((place, item, found))
        self.is_full = self._steps >= _STEPS_OF_JOB or len(self.waiting) >= _MOST_OF_JOB

    def check_waiting(self) -> Conversation[None]:
        """Validate all events that wait.

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
    """Validate an event in a few milliseconds.

    Raises:
        OutOfBudget: when it takes longer.
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
