"""The worker of a bridge: a loop over a step."""

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from synapse.delivery import group_upkeep
from synapse.delivery import membership as delivery_membership
from synapse.delivery.batch_sizer import RECONNECT, Rate
from synapse.delivery.dispatcher import Dispatcher, Observe
from synapse.delivery.group_upkeep import GroupJoiner, GroupUpkeep, Say
from synapse.delivery.membership import Membership, Subscription
from synapse.delivery.prefetch import WORTH, Prefetcher, Taken
from synapse.delivery.shutdown import Interrupted, Stop
from synapse.delivery.sink import Delivery, Sink
from synapse.delivery.status import Progress
from synapse.errors.delivery import GroupLost, SinkAway
from synapse.redis import RedisFailure, SyncExecutor, WrongType
from synapse.redis.commands.delivery import MAX_WAITING, InFlightEvent, LeaseResult
from synapse.wire.encoding import TopLevelTypes

# The interval of the checks of a worker that does not read now, in seconds.
_LOOK_EVERY = 1.0
# When nothing was read for IDLE_AFTER seconds, and no event is scheduled for retry, a read waits for up to
# IDLE_BLOCK_MS. A new entry of the stream ends the wait at once; other work, such as a redriven dead letter, is found
# after it.
IDLE_AFTER, IDLE_BLOCK_MS = 30.0, 5_000


class Worker:
    """Delivers a group's events from one stream to one sink.

    An event is acknowledged after the sink has taken it. It is delivered again if a crash, a lost connection or the
    sink itself prevented that.

    `say` is called with messages for a person, one line each. `types_of` returns, by event type, the types that foreign
    entries are decoded with. `only`: events of other types are acknowledged without delivery; empty means all types.
    `where`: events for which it is false are acknowledged without delivery. `together`: the number of events that the
    sink has in flight at once. `rate`: the most events a second. `paused`: the worker stays in its group, but delivers
    nothing. `disable` is called with the reason when the sink's receiver refuses all further events. `drain`: the
    worker finishes when no event is left. `count`: it finishes after that many delivered events. `clock` gives seconds.
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
        impersonal: Callable[[str, Delivery], str] = lambda text, _: text,
        only: frozenset[str] = frozenset(),
        where: Callable[[Delivery], bool] | None = None,
        together: int = 1,
        rate: float | None = None,
        paused: bool = False,
        disable: Callable[[str], None] = lambda _: None,
        drain: bool = False,
        count: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        worth_ahead: int = WORTH,
        observe: Observe = lambda *_: None,
    ) -> None:
        self.subscription = subscription
        self._run = secrets.token_hex(8)
        self._stop = stop or Stop()
        self._membership = Membership(subscription, executor, run=self._run, clock=clock)
        self._upkeep = GroupUpkeep(self._membership, clock)
        self._joiner = GroupJoiner(self._membership, self._upkeep, say)
        self._prefetcher = Prefetcher(self._membership, clock, worth=worth_ahead)
        self._dispatcher = Dispatcher(
            subscription,
            sink,
            say=say,
            stop=self._stop,
            types_of=types_of,
            impersonal=impersonal,
            only=only,
            where=where,
            together=together,
            clock=clock,
            observe=observe,
        )
        self._rate = Rate(rate, clock) if rate else None
        self._paused = paused
        self._disable = disable
        self._sink = sink
        self._say = say
        self._drain = drain
        self._count = count
        self._clock = clock
        self._failures = 0
        self._is_backing_off = False
        self._worked_at = clock()
        # The reason that new events are not read, "" without one.
        self._holds_back = ""
        self.finished = False
        # Seconds to wait before the next step.
        self.pause = 0.0

    @property
    def progress(self) -> Progress:
        """The counts and the state of the worker."""
        return self._dispatcher.progress

    @property
    def trouble(self) -> str:
        """The reason that the sink takes no more events, "" if it is not a fault."""
        return self._dispatcher.over or ""

    def run(self) -> None:
        """Step until the worker is finished or a stop is requested.

        Raises:
            GroupExists: when the group exists and must be new.
        """
        try:
            while not (self.finished or self._stop.requested):
                self.step()
                if self.pause and not self.finished:
                    self._stop.sleep(self.pause)
        except Interrupted:
            return

    def step(self) -> bool:
        """Deliver the events that are ready. Return False when there were none, or none could be delivered.

        Raises:
            GroupExists: when the group exists and must be new.
            Interrupted: when a stop was requested during a wait.
        """
        self.pause = 0.0
        failed = self.progress.failed
        try:
            worked = self._step_once()
        except GroupLost:
            self._prefetcher.discard_batch()
            self._joiner.record_lost_group()
            return True
        except RedisFailure as failure:
            self._handle_redis_failure(failure)
            return False
        except SinkAway as reason:
            self._back_off(str(reason))
            return False
        self._report_reconnection()
        if self._dispatcher.disables is not None:
            self._disable(self._dispatcher.disables)
        if self._paused:
            self.progress.set_paused()
        elif self._dispatcher.batch_sizer.is_probing:
            if self.progress.failed > failed:
                self._back_off(f"Nothing succeeds any more, so single events are tried: {self.progress.error}")
        else:
            self._set_working()
        self.finished = self._dispatcher.is_over or (self._drain and not worked) or self._remaining_count() == 0
        return worked

    def interrupt(self) -> None:
        """End a read that waits for events; called from another thread. The connection cannot be used again."""
        self._membership.interrupt()

    def leave(self, executor: SyncExecutor) -> None:
        """Release unfinished events, leave the group, and close the sink. `executor` needs a short timeout: when Redis
        cannot be used, the next consumer on this host reclaims the events, as after a kill.
        """
        self._sink.close()
        # When reading ahead failed, its entries are released below, with all that are pending under this name.
        with contextlib.suppress(GroupLost, RedisFailure):
            self._dispatcher.record_unbegun(self._prefetcher.pop_ids())
        self._prefetcher.close()
        if self._joiner.ever_joined:
            self._leave_group(Membership(self.subscription, executor, run=self._run))
        delivery_membership.forget_consumer(self.subscription.consumer)
        self._membership.reconnect()

    def _leave_group(self, membership: Membership) -> None:
        try:
            self._dispatcher.flush_outcomes(membership)
            if not self._joiner.has_twin:
                GroupUpkeep(membership, time.monotonic).retire(self.subscription.consumer)
                membership.remove_consumer(self.subscription.consumer)
        except (RedisFailure, GroupLost):
            return

    def _step_once(self) -> bool:
        self._joiner.join_if_needed()
        self._dispatcher.flush_outcomes(self._membership)
        worked = self._upkeep.step()
        self._report_lost(self._upkeep.pop_lost_count())
        if self._dispatcher.is_over:
            return worked
        if self._paused:
            self.pause = _LOOK_EVERY
            return worked
        if self._rate and (wait := self._rate.seconds_until_allowed()):
            self.pause = wait
            return True
        since = self._clock()
        leased = self._membership.lease(self._batch_limit())
        self._report_lost(leased.lost)
        self._report_dead(leased.dead)
        worked = self._deliver_and_report(leased.events, since) or leased.dead > 0 or worked
        if self._may_read(leased) and (room := 0 if self._dispatcher.is_over else self._batch_limit()):
            block_ms = self._block_ms(leased.next_due_ms, worked)
            fresh, since, asked = self._stop.run_interruptibly(lambda: self._read_events(room, block_ms))
            if self._reads_ahead:
                self._prefetcher.start_reading(room, after=len(fresh), asked=asked)
            if self._membership.is_blocked:
                self.pause = _until_due(leased)
            worked = self._deliver_and_report(fresh, since) or self._membership.found_some or worked
        return worked

    @property
    def _reads_ahead(self) -> bool:
        """Say whether the next events may be read while the sink works: the worker has no limit and no order, and is
        not reclaiming entries pending under its own name.
        """
        free = self._count is None and self._rate is None and self.subscription.order == "none"
        return free and not self._upkeep.takes_back_own

    def _may_read(self, leased: LeaseResult) -> bool:
        """Say whether new events may be read. If not, and nothing was delivered, pause before the next step."""
        if leased.waiting < MAX_WAITING:
            self._holds_back = ""
            return True
        if not self._holds_back:
            self._holds_back = group_upkeep.full_message(MAX_WAITING)
            self._say(self._holds_back)
        if not leased.events:
            self.pause = _until_due(leased)
        return False

    def _read_events(self, room: int, block_ms: int) -> Taken:
        self._prefetcher.wait()
        return self._prefetcher.pop_batch() or (self._membership.read(room, block_ms), self._membership.read_at, room)

    def _deliver_and_report(self, held: Sequence[InFlightEvent], since: float) -> bool:
        """Deliver events and report their outcomes. Return False when there were none."""
        if self._rate:
            self._rate.consume(len(held))
        try:
            self._dispatcher.deliver(held, since)
        except SinkAway:
            self._release_prefetched()
            raise
        finally:
            self._dispatcher.flush_outcomes(self._membership)
            if held:
                self._worked_at, self._upkeep.has_moved = self._clock(), True
        if self._dispatcher.batch_sizer.is_probing:
            self._release_prefetched()
            self._dispatcher.flush_outcomes(self._membership)
        return bool(held)

    def _release_prefetched(self) -> None:
        """Release the prefetched batch to other consumers, because this sink takes single events now, or none."""
        self._dispatcher.record_unbegun(self._prefetcher.pop_ids())

    def _remaining_count(self) -> int | None:
        """Return the number of events that are still to be delivered; None without a limit."""
        return None if self._count is None else self._count - self.progress.delivered

    def _batch_limit(self) -> int:
        """Return the most events to take at once now."""
        most, left = self.subscription.batch, self._remaining_count()
        if left is not None:
            most = min(most, left)
        if self._rate is not None:
            most = min(most, self._rate.allowed_count())
        return self._dispatcher.batch_sizer.allowed_count(most)

    def _block_ms(self, next_due_ms: int | None, worked: bool) -> int:
        # After a failure the read does not wait, so that “Redis is back” is reported soon.
        if worked or self._drain or self._failures:
            return 0
        block_ms = self.subscription.block_ms
        if next_due_ms is not None:
            return min(block_ms, next_due_ms)
        is_idle = self._clock() - self._worked_at >= IDLE_AFTER
        return max(block_ms, IDLE_BLOCK_MS) if is_idle and block_ms else block_ms

    def _report_lost(self, lost: int) -> None:
        if lost:
            self.progress.lost += lost
            self._say(group_upkeep.lost_message(lost, self.subscription))

    def _report_dead(self, dead: int) -> None:
        if dead:
            self.progress.dead += dead
            self._say(group_upkeep.given_up_message(dead))

    def _handle_redis_failure(self, failure: RedisFailure) -> None:
        self._failures += 1
        # Entries of a lost reply are reclaimed, with all that are pending under this name.
        self._prefetcher.discard_batch()
        self._joiner.record_lost_connection()
        self._membership.reconnect()
        self.pause = RECONNECT.delay(self._failures, random.random())
        self.progress.set_waiting(failure.detail, broken=isinstance(failure, WrongType))
        self._say(f"{failure.detail.rstrip('.')}. Next try in {self.pause:.1f} s.")

    def _report_reconnection(self) -> None:
        if self._failures:
            self._failures = 0
            self._say("Redis is back.")

    def _back_off(self, why: str) -> None:
        """Pause before the sink is tried again."""
        self._is_backing_off = True
        self.pause = self._dispatcher.batch_sizer.backoff(random.random())
        self.progress.set_waiting(why)
        self._say(f"{why.rstrip('.')}. Next try in {self.pause:.1f} s.")

    def _set_working(self) -> None:
        if self._holds_back:
            self.progress.set_waiting(self._holds_back)
        else:
            self.progress.set_running()
        if self._is_backing_off:
            self._is_backing_off = False
            self._say("Events are taken again.")


def _until_due(leased: LeaseResult) -> float:
    """Return the seconds until the next event is due, at most those of the interval of checks."""
    return _LOOK_EVERY if leased.next_due_ms is None else min(_LOOK_EVERY, leased.next_due_ms / 1000)
