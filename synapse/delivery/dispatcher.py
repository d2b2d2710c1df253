"""Deliver events to a sink, and keep their outcomes until they are reported to Redis."""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from synapse.delivery.batch_sizer import BatchSizer
from synapse.delivery.group_upkeep import Say
from synapse.delivery.membership import Membership, Subscription
from synapse.delivery.retry import GiveUp, decide_retry
from synapse.delivery.shutdown import Stop
from synapse.delivery.sink import Delivery, Outcome, Sink
from synapse.delivery.status import Progress
from synapse.errors.delivery import NotBegun, SinkAway, SinkDisabled, SinkError, SinkGone
from synapse.redis.commands.delivery import Failure, FailureResult, InFlightEvent
from synapse.tracing import attributes, switch
from synapse.tracing.tracer import Tracer
from synapse.wire.encoding import TopLevelTypes
from synapse.wire.trace_context import context_of_entry

# Called with the measured step, its seconds, and the number of times.
Observe = Callable[[Literal["attempt", "delivered"], float, int], None]
# After one of these errors, no further event of the batch is begun.
_ENDS = (NotBegun, SinkDisabled, SinkGone)


class Dispatcher:
    """Passes events from a worker to its sink. The arguments are those of the worker."""

    def __init__(
        self,
        subscription: Subscription,
        sink: Sink,
        *,
        say: Say,
        stop: Stop,
        types_of: Callable[[], Mapping[str, TopLevelTypes]],
        impersonal: Callable[[str, Delivery], str],
        only: frozenset[str],
        where: Callable[[Delivery], bool] | None,
        together: int,
        clock: Callable[[], float],
        observe: Observe,
    ) -> None:
        self._subscription = subscription
        self._sink = sink
        self._say = say
        self._stop = stop
        self._types_of = types_of
        self._impersonal = impersonal
        self._only = only
        self._where = where
        self._clock = clock
        self._observe = observe
        self._taken: list[tuple[str, str]] = []
        # The attempt number of each taken event, and how long one delivery took (the mean of its batch).
        self._attempts: list[int] = []
        self._took_ms = 0
        self._unwanted: list[tuple[str, str]] = []
        self._unbegun: list[tuple[str, str]] = []
        # Each failure with its text for logs, which holds no PII.
        self._failed: list[tuple[Failure, str]] = []
        self.progress = Progress()
        self.batch_sizer = BatchSizer(subscription.lease_ms / 1000, together=together)
        # Set when the sink takes no more events: the reason, "" if it is not a fault.
        self.over: str | None = None
        # Set when the receiver permanently refuses all events.
        self.disables: str | None = None

    @property
    def is_over(self) -> bool:
        """Say whether the sink takes no more events."""
        if self.over is None and self._sink.is_gone():
            self.over = ""
        return self.over is not None

    def deliver(self, held: Sequence[InFlightEvent], since: float) -> None:
        """Deliver the events that pass the bridge's filters to the sink.

        No event is begun after half of its lease (which began at `since`, in the clock's seconds), so that its delivery
        ends before the lease does.

        Raises:
            SinkAway: when the sink is unavailable now.
        """
        batch = self._filter_batch(held)
        if not batch:
            return
        if (tracer := switch.tracer) is not None:
            self._start_spans(tracer, batch)
        half, begun = since + self._subscription.lease_ms / 2000, self._clock()

        def may_begin() -> bool:
            return self._clock() <= half and not self._stop.requested

        try:
            if self._subscription.order == "none":
                outcomes = self._deliver_to_sink(batch, may_begin)
            else:
                outcomes = self._deliver_in_order(batch, {one.id: one.key for one in held}, may_begin)
        except SinkAway:
            self._unbegun += [(delivery.id, delivery.token) for delivery in batch]
            self.batch_sizer.record_unavailable()
            raise
        self._record_outcomes(outcomes, self._clock() - begun)

    def record_unbegun(self, ids: Sequence[str]) -> None:
        """Record that events were read and will not be begun."""
        self._unbegun += [(id_, "") for id_ in ids]

    def flush_outcomes(self, membership: Membership) -> None:
        """Report the collected outcomes to Redis."""
        if self._taken or self._unwanted or self._unbegun or self._failed:
            failed = [failure for failure, _ in self._failed]
            results = membership.report_outcomes(
                taken=self._taken,
                attempts=self._attempts,
                took_ms=self._took_ms,
                unwanted=self._unwanted,
                unbegun=self._unbegun,
                failed=failed,
            )
            self.progress.filtered += len(self._unwanted)
            for (failure, text), result in zip(self._failed, results, strict=True):
                self._report_failure(failure, text, result)
            self._taken, self._attempts, self._unwanted, self._unbegun, self._failed = [], [], [], [], []

    def _filter_batch(self, held: Sequence[InFlightEvent]) -> list[Delivery]:
        types_of, stream = self._types_of(), self._subscription.stream
        batch = [
            Delivery(stream=stream, id=one.id, attempt=one.attempt, parts=one.parts, types_of=types_of, token=one.token)
            for one in held
        ]
        if self._only or self._where:
            wanted = [delivery for delivery in batch if self._is_wanted(delivery)]
            kept = {delivery.id for delivery in wanted}
            self._unwanted += [(delivery.id, delivery.token) for delivery in batch if delivery.id not in kept]
            batch = wanted
        return batch

    def _start_spans(self, tracer: Tracer, batch: Sequence[Delivery]) -> None:
        place = self._subscription
        for delivery in batch:
            delivery.span = tracer.start_process(
                place.stream,
                delivery.id,
                group=place.group,
                attempt=delivery.attempt,
                context=context_of_entry(delivery.parts),
                relation=place.tracing,
            )

    def _is_wanted(self, delivery: Delivery) -> bool:
        if self._only and delivery.event_type not in self._only:
            return False
        return self._where is None or self._where(delivery)

    def _deliver_to_sink(
        self, batch: Sequence[Delivery], may_begin: Callable[[], bool]
    ) -> list[tuple[Delivery, Outcome]]:
        try:
            return list(zip(batch, self._sink.deliver(batch, may_begin), strict=True))
        except SinkAway:
            raise
        except Exception as error:
            failed = SinkError(f"{type(error).__name__}: {error}", failure="exception")
            return [(delivery, failed) for delivery in batch]

    def _deliver_in_order(
        self, batch: Sequence[Delivery], key_of: Mapping[str, str], may_begin: Callable[[], bool]
    ) -> list[tuple[Delivery, Outcome]]:
        """Deliver one event of each key at a time, and no event of a key after one that was not taken."""
        by_key: dict[str, deque[Delivery]] = {}
        for delivery in batch:
            by_key.setdefault(key_of[delivery.id] or delivery.id, deque()).append(delivery)
        outcomes: list[tuple[Delivery, Outcome]] = []
        keys = list(by_key.values())
        while keys:
            try:
                found = self._deliver_to_sink([key.popleft() for key in keys], may_begin)
            except SinkAway:
                if not outcomes:
                    raise
                # The outcomes so far are reported first; then the sink is tried again.
                break
            outcomes += found
            if any(isinstance(outcome, _ENDS) for _, outcome in found):
                break
            keys = [key for key, (_, outcome) in zip(keys, found, strict=True) if key and outcome is None]
        delivered = {delivery.id for delivery, _ in outcomes}
        return outcomes + [(delivery, NotBegun()) for delivery in batch if delivery.id not in delivered]

    def _record_outcomes(self, outcomes: Sequence[tuple[Delivery, Outcome]], seconds: float) -> None:
        taken, failures = 0, []
        for delivery, outcome in outcomes:
            if outcome is None:
                taken += 1
                self._observe("delivered", max(0.0, time.time() - int(delivery.id.partition("-")[0]) / 1000), 1)
                self._taken.append((delivery.id, delivery.token))
                self._attempts.append(delivery.attempt)
                _finish_span(delivery, "delivered")
            elif isinstance(outcome, NotBegun | SinkDisabled):
                self._unbegun.append((delivery.id, delivery.token))
                if isinstance(outcome, SinkDisabled):
                    self.over = self.disables = self._impersonal(str(outcome), delivery)
                    _finish_span(delivery, "returned", outcome)
            elif isinstance(outcome, SinkGone):
                self.over = self._impersonal(str(outcome), delivery)
            else:
                failures.append((delivery, outcome))
        self.progress.record_delivered(taken)
        if begun := taken + len(failures):
            self._took_ms = round(seconds / begun * 1000)
            self._observe("attempt", seconds / begun, begun)
            self.batch_sizer.record_latency(begun, seconds)
            self.batch_sizer.record_outcome(taken=taken, failed=sum(_is_sink_error(*failure) for failure in failures))
            for delivery, error in failures:
                # The duration of each event alone was not measured.
                self._record_failure(delivery, error, seconds / begun)

    def _record_failure(self, delivery: Delivery, error: SinkError, seconds: float) -> None:
        # The full text is stored with the event, where readers' rights are checked. Log lines get one without PII.
        text = str(error)
        impersonal = self._impersonal(text, delivery)
        trace = delivery.trace
        named = delivery.id if trace is None else f"{delivery.id} (trace {trace.trace_id})"
        told = f"{named}, attempt {delivery.attempt}: {impersonal.rstrip('.')}"
        self.progress.record_error(told)
        next_ = decide_retry(self._subscription.retry, attempt=delivery.attempt, error=error, chance=random.random())
        gives_up = isinstance(next_, GiveUp)
        _finish_span(delivery, "dead" if gives_up else "retry", error)
        failure = Failure(
            id=delivery.id,
            token=delivery.token,
            error=text,
            took_ms=round(seconds * 1000),
            delay_ms=0 if isinstance(next_, GiveUp) else round(next_.after * 1000),
            fatal=gives_up,
            failure=error.failure,
            status=error.status,
            told=impersonal,
        )
        self._failed.append((failure, told))

    def _report_failure(self, failure: Failure, text: str, result: FailureResult) -> None:
        if result == "retry":
            self._say(f"{text}. It will be retried in {failure.delay_ms / 1000:.3g} s.")
        elif result == "dead":
            self.progress.dead += 1
            self._say(f"{text}. It is a dead letter now.")
        elif result == "lost":
            self.progress.lost += 1
            self._say(f"{text}. It was trimmed meanwhile: lost, and counted as such.")
        else:
            self._say(f"{text}. Another consumer has it by now.")


def _finish_span(delivery: Delivery, outcome: str, error: SinkError | None = None) -> None:
    """End the span of an attempt. An error is recorded by its class, since its text may quote the event."""
    span, tracer = delivery.span, switch.tracer
    if span is None or tracer is None:
        return
    span.attributes[attributes.OUTCOME] = outcome
    if error is not None:
        span.error = error.failure
        if error.status is not None:
            span.attributes[attributes.HTTP_STATUS] = error.status
    tracer.finish(span)


def _is_sink_error(delivery: Delivery, error: SinkError) -> bool:
    """Say whether a failure may mean that the sink is broken. A failed retry is taken to concern its event alone."""
    return delivery.attempt == 1 and not error.permanent
