"""Handing events to a sink, and remembering what became of them until Redis has heard of it."""

from collections.abc import Callable, Mapping, Sequence

from bridges.delivery import Delivery
from bridges.errors import NotBegun, SinkAway, SinkError, SinkGone
from bridges.runtime.joining import Say
from bridges.runtime.membership import Membership, Subscription
from bridges.runtime.pace import Pace
from bridges.runtime.progress import Progress
from bridges.runtime.stop import Stop
from bridges.sinks.base import Outcome, Sink
from streams.broker.delivery import Held
from streams.entry import TopLevelTypes


class Handover:
    """Between a worker and its sink. The arguments are those of the worker."""

    def __init__(
        self,
        subscription: Subscription,
        sink: Sink,
        *,
        say: Say,
        stop: Stop,
        types_of: Callable[[], Mapping[str, TopLevelTypes]],
        only: frozenset[str],
        clock: Callable[[], float],
    ) -> None:
        self._subscription = subscription
        self._sink = sink
        self._say = say
        self._stop = stop
        self._types_of = types_of
        self._only = only
        self._clock = clock
        self._taken: list[str] = []
        self._unwanted: list[str] = []
        self._unbegun: list[str] = []
        self.progress = Progress()
        self.pace = Pace(subscription.lease_ms / 1000)
        # Set when the sink takes nothing any more: why, and "" when that is nothing to worry about.
        self.over: str | None = None

    @property
    def is_over(self) -> bool:
        """Say whether the sink takes nothing any more."""
        if self.over is None and self._sink.is_gone():
            self.over = ""
        return self.over is not None

    def give(self, held: Sequence[Held], since: float) -> None:
        """Give the sink those of the events that are wanted.

        None is begun on a lease (taken at `since`, by the clock) that is half over: its end must not come first.

        Raises:
            SinkAway: when the sink can take nothing now.
        """
        batch = self._wanted(held)
        if not batch:
            return
        half, begun = since + self._subscription.lease_ms / 2000, self._clock()
        try:
            outcomes = self._outcomes(batch, lambda: self._clock() <= half and not self._stop.requested)
        except SinkAway:
            self._unbegun += [delivery.id for delivery in batch]
            self.pace.away()
            raise
        self._book(outcomes, self._clock() - begun)

    def give_back(self, ids: Sequence[str]) -> None:
        """Note that events were read and will not be begun."""
        self._unbegun += ids

    def tell(self, membership: Membership) -> None:
        """Tell Redis what became of the events that it has not heard of yet."""
        if self._taken or self._unwanted or self._unbegun:
            membership.settle(taken=self._taken, unwanted=self._unwanted, unbegun=self._unbegun)
            self.progress.filtered += len(self._unwanted)
            self._taken, self._unwanted, self._unbegun = [], [], []

    def _wanted(self, held: Sequence[Held]) -> list[Delivery]:
        types_of, stream = self._types_of(), self._subscription.stream
        batch = [
            Delivery(stream=stream, id=one.id, attempt=one.attempt, parts=one.parts, types_of=types_of) for one in held
        ]
        if self._only:
            self._unwanted += [delivery.id for delivery in batch if delivery.event_type not in self._only]
            batch = [delivery for delivery in batch if delivery.event_type in self._only]
        return batch

    def _outcomes(self, batch: Sequence[Delivery], may_begin: Callable[[], bool]) -> list[tuple[Delivery, Outcome]]:
        try:
            return list(zip(batch, self._sink.deliver(batch, may_begin), strict=True))
        except SinkAway:
            raise
        except Exception as error:
            return [(delivery, SinkError(f"{type(error).__name__}: {error}")) for delivery in batch]

    def _book(self, outcomes: Sequence[tuple[Delivery, Outcome]], seconds: float) -> None:
        taken = failed = 0
        for delivery, outcome in outcomes:
            if outcome is None:
                taken += 1
                self._taken.append(delivery.id)
            elif isinstance(outcome, NotBegun):
                self._unbegun.append(delivery.id)
            elif isinstance(outcome, SinkGone):
                self.over = str(outcome)
            else:
                failed += 1
                self._fail(delivery, outcome)
        self.progress.took(taken)
        if begun := taken + failed:
            self.pace.took(begun, seconds)
            self.pace.went(taken=taken, failed=failed)

    def _fail(self, delivery: Delivery, error: SinkError) -> None:
        """Leave the event where it is, pending or leased: it comes back when the lease is over."""
        text = f"{delivery.id}, attempt {delivery.attempt}: {str(error).rstrip('.')}"
        self.progress.failed_at(text)
        self._say(f"{text}. It comes again in {self._subscription.lease_ms / 1000:g} s.")
