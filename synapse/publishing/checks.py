"""The checks of the events of one request, a few milliseconds in each turn on the event loop."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.incoming import CloudEvent, event_of
from synapse.errors.streams import BadCloudEvent
from synapse.problems import Problem
from synapse.publishing import validation
from synapse.publishing.body import Body, Item
from synapse.publishing.deferred_validation import CostlyEvents
from synapse.publishing.refusals import Refusals
from synapse.publishing.validation import Accepted, DeferredCheck, TypeRules
from synapse.redis import Conversation
from synapse.runtime.turn_queue import TURN
from synapse.shares import caller_of

# The approximate number of violations that are listed for a batch: listing takes far longer than finding the first.
MAX_EXPLAINED = 500
# Replaces an event that is encoded and no longer needed. Memory that a batch releases before it waits for Redis is
# still in the processor's cache when the next batch uses it.
_NO_EVENT: Mapping[str, Any] = {}
_WRITTEN, _WRITTEN_UNREGISTERED = (Accepted(_NO_EVENT, "", None, (), registered=known) for known in (True, False))


class EventChecks:
    """Checks the events of one request in their order. Accepted events are passed to `also` with their index and value,
    and then only what the response needs of them is kept. Refused events are recorded in `refusals`."""

    def __init__(
        self,
        stream: StreamDefinition,
        version: int | None,
        by: Principal,
        also: Callable[[Accepted, int, Any], None] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._stream = stream
        self._version = version
        self._by = by
        self._also = also
        self._refusals = refusals
        self._explained = 0
        # The outcome of each event; None for an event that is still to be validated.
        self._outcomes: list[Accepted | Problem | None] = []

    def run(self, body: Body) -> Conversation[list[Accepted | Problem]]:
        """Return the result of the checks for each event."""
        stream, version, by = self._stream, self._version, self._by
        outcomes: list[Any] = self._outcomes
        rulings: dict[str, TypeRules] = {}
        # A local variable: as an attribute it would make a reference cycle, which keeps all entries until a garbage
        # collection.
        costly = CostlyEvents(stream, caller_of(by), self._note_late)
        if body.is_large:
            yield ()  # many large batches may arrive at once
        until = time.monotonic() + TURN
        for items, length in body.slices:
            # Reading the slice may have taken long.
            if time.monotonic() > until:
                yield ()
                until = time.monotonic() + TURN
            for item in items:
                found: Item | DeferredCheck = item
                if not isinstance(item, Problem):
                    try:
                        event = item.event if type(item) is CloudEvent else item
                        found = validation.check(stream, event, version=version, by=by, rulings=rulings, length=length)
                        if isinstance(found, DeferredCheck):
                            found = costly.try_here(found, explain=self._explained < MAX_EXPLAINED)
                    except Problem as problem:
                        # Without its traceback: the problem is kept, and its traceback would keep the frames, which
                        # keep the problem.
                        found = problem.with_traceback(None)
                if isinstance(found, DeferredCheck) or (costly.waiting and isinstance(found, Accepted)):
                    costly.add(len(outcomes), item, found)
                    outcomes.append(None)
                    if costly.is_full:
                        yield from costly.check_waiting()
                else:
                    outcomes.append(self._note(len(outcomes), item, found))
                if time.monotonic() > until:
                    yield ()
                    until = time.monotonic() + TURN
        yield from costly.check_waiting()
        return outcomes

    def _note(self, place: int, item: Any, outcome: Accepted | Problem) -> Accepted | Problem:
        if isinstance(outcome, Problem):
            if self._refusals is not None:
                event = None if isinstance(item, Problem) else event_of(item)
                self._refusals.note(self._stream, outcome, self._by, event=event)
            if isinstance(outcome, BadCloudEvent) and self._explained >= MAX_EXPLAINED:
                # The detail of the problem names the first violations.
                outcome.members["violations"] = []
            self._explained += len(outcome.members.get("violations", ()))
            return outcome
        warnings = outcome.warnings
        if warnings:
            self._explained += len(warnings)
        if self._also is None:
            return outcome
        self._also(outcome, place, item)
        if warnings:
            return outcome._replace(event=_NO_EVENT)
        return _WRITTEN if outcome.registered else _WRITTEN_UNREGISTERED

    def _note_late(self, place: int, item: Any, outcome: Accepted | Problem) -> bool:
        self._outcomes[place] = self._note(place, item, outcome)
        return self._explained < MAX_EXPLAINED
