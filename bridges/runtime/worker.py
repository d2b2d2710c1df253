"""The heart of a bridge: a loop over a step."""

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from bridges.delivery import Delivery
from bridges.errors import GroupLost, SinkError, SinkGone
from bridges.runtime.joining import Joining, Say
from bridges.runtime.membership import Membership, Subscription
from bridges.runtime.retry import RECONNECT
from bridges.runtime.stop import Interrupted, Stop
from bridges.runtime.upkeep import Upkeep
from bridges.sinks.base import Outcome, Sink
from streams import entry
from streams.broker import SyncExecutor
from streams.broker.delivery import Held
from streams.entry import TopLevelTypes
from streams.errors import Unavailable


class Worker:
    """Moves a group's events from one stream into one sink.

    The sink first, then DONE: an event is settled when the sink has taken it, and comes again when a crash, a lost
    connection or the sink itself came between. `say` gets what a person should know, a line each. `types_of` gives,
    by event type, how the text of foreign entries is read. `drain`: finished when nothing is left; `count`: when so
    many events were delivered. `clock` gives seconds.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        executor: SyncExecutor,
        sink: Sink,
        say: Say,
        stop: Stop | None = None,
        types_of: Callable[[], Mapping[str, TopLevelTypes]] = dict,
        drain: bool = False,
        count: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.subscription = subscription
        self._run = secrets.token_hex(8)
        self._membership = Membership(subscription, executor, run=self._run)
        self._upkeep = Upkeep(self._membership, clock)
        self._joining = Joining(self._membership, self._upkeep, say)
        self._sink = sink
        self._say = say
        self._stop = stop or Stop()
        self._types_of = types_of
        self._drain = drain
        self._count = count
        self._failures = 0
        # Delivered, and not known to be settled.
        self._unsettled: list[str] = []
        self.delivered = 0
        self.failed = 0
        self.lost = 0
        self.finished = False
        # Why the sink is gone, when that is something to worry about.
        self.trouble = ""
        # Seconds to wait before the next step.
        self.pause = 0.0

    def run(self) -> None:
        """Step until it is finished or a stop is requested.

        Raises:
            GroupExists: when the group is there and must be new.
        """
        try:
            while not (self.finished or self._stop.requested):
                self.step()
                if self.pause and not self.finished:
                    self._stop.sleep(self.pause)
        except Interrupted:
            return

    def step(self) -> bool:
        """Deliver what is ready. Return False when there was nothing to do, or nothing could be done.

        Raises:
            GroupExists: when the group is there and must be new.
            Interrupted: when a stop was requested while it waited.
        """
        self.pause = 0.0
        try:
            worked = self._turn()
        except GroupLost:
            self._joining.lost_group()
            return True
        except Unavailable as problem:
            self._lose_redis(problem)
            return False
        if self._failures:
            self._failures = 0
            self._say("Redis is back.")
        if (self._drain and not worked) or self._room() == 0:
            self.finished = True
        return worked

    def leave(self, executor: SyncExecutor) -> None:
        """Give back what is unfinished and leave the group. `executor` must answer soon or not at all: where Redis
        cannot be used, the next consumer on this host does it, as after a kill."""
        if not self._joining.ever_joined:
            return
        membership = Membership(self.subscription, executor, run=self._run)
        try:
            if self._unsettled:
                membership.settle(self._unsettled)
            if not self._joining.has_twin:
                Upkeep(membership, time.monotonic).retire(self.subscription.consumer)
                membership.leave(self.subscription.consumer)
        except (Unavailable, GroupLost):
            return

    def _turn(self) -> bool:
        self._joining.ensure()
        self._settle()
        worked = self._upkeep.step()
        self._tell_lost(self._upkeep.take_lost())
        if self._sink.is_gone():
            self.finished = True
            return worked
        leased = self._membership.lease(self._room())
        self._tell_lost(leased.lost)
        worked = self._deliver(leased.events) or worked
        if room := 0 if self.finished else self._room():
            block_ms = self._block_ms(leased.next_due_ms, worked)
            fresh = self._stop.interruptible(lambda: self._membership.read(room, block_ms))
            worked = self._deliver(fresh) or worked
        return worked

    def _room(self) -> int:
        """Return how many events may be taken at once now."""
        batch = self.subscription.batch
        return batch if self._count is None else min(batch, self._count - self.delivered)

    def _block_ms(self, next_due_ms: int | None, worked: bool) -> int:
        # After a failure the answer must come soon: a person waits to hear that Redis is back.
        if worked or self._drain or self._failures:
            return 0
        block_ms = self.subscription.block_ms
        return block_ms if next_due_ms is None else min(block_ms, next_due_ms)

    def _deliver(self, held: Sequence[Held]) -> bool:
        """Hand events to the sink and settle what it has taken. Return False when there was none."""
        if not held:
            return False
        types_of = self._types_of()
        batch = [self._delivery(one, types_of) for one in held]
        for delivery, outcome in self._outcomes(batch):
            if outcome is None:
                self.delivered += 1
                self._unsettled.append(delivery.id)
            elif isinstance(outcome, SinkGone):
                self.finished = True
                self.trouble = str(outcome)
            else:
                self._fail(delivery, outcome)
        self._settle()
        return True

    def _delivery(self, held: Held, types_of: Mapping[str, TopLevelTypes]) -> Delivery:
        fields = entry.pairs(held.parts)
        return Delivery(
            stream=self.subscription.stream,
            id=held.id,
            attempt=held.attempt,
            entry=entry.decode(fields, types_of=types_of),
            fields=fields,
        )

    def _outcomes(self, batch: Sequence[Delivery]) -> list[tuple[Delivery, Outcome]]:
        try:
            return list(zip(batch, self._sink.deliver(batch), strict=True))
        except Exception as error:
            return [(delivery, SinkError(f"{type(error).__name__}: {error}")) for delivery in batch]

    def _settle(self) -> None:
        if self._unsettled:
            self._membership.settle(self._unsettled)
            self._unsettled = []

    def _fail(self, delivery: Delivery, error: SinkError) -> None:
        """Leave the event where it is, pending or leased: it comes back when the lease is over."""
        self.failed += 1
        self._say(
            f"{delivery.id}, attempt {delivery.attempt}: {error}. "
            f"It comes again in {self.subscription.lease_ms / 1000:g} s."
        )

    def _tell_lost(self, lost: int) -> None:
        if lost:
            self.lost += lost
            what = "1 event was" if lost == 1 else f"{lost} events were"
            self._say(
                f"{what} trimmed from “{self.subscription.stream}” before the group “{self.subscription.group}” had "
                f"settled {'it' if lost == 1 else 'them'}: lost, and counted as such."
            )

    def _lose_redis(self, problem: Unavailable) -> None:
        self._failures += 1
        self._joining.lost_redis()
        self._membership.reconnect()
        self.pause = RECONNECT.delay(self._failures, random.random())
        self._say(f"{problem.detail.rstrip('.')}. Next try in {self.pause:.1f} s.")
