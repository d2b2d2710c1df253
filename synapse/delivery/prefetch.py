"""Reading the next events while a sink is at work with the last ones, so that the two need not take turns."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from synapse.delivery.membership import Membership
from synapse.redis.commands.delivery import InFlightEvent

# Worth a second thread only where there is much to read: small batches come from a slow sink, or an empty stream.
WORTH = 100

# Events, since when they are in flight, and how many were asked for.
Taken = tuple[Sequence[InFlightEvent], float, int]


class ReadAhead:
    """At most one batch ahead of the sink.

    `clock` gives seconds; a batch's time is that at which it was asked for. `worth`: how full a batch must be for the
    next one to be read ahead.
    """

    def __init__(self, membership: Membership, clock: Callable[[], float], *, worth: int = WORTH) -> None:
        self._membership = membership
        self._clock = clock
        self._worth = worth
        self._pool: ThreadPoolExecutor | None = None
        self._batch: tuple[Future[list[InFlightEvent]], float, int] | None = None

    def begin(self, room: int, *, after: int, asked: int) -> None:
        """Begin to read up to so many events, without waiting for any, if the last batch left some: it had `after` of
        the `asked` events."""
        if after < max(asked, self._worth):
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._batch = self._pool.submit(self._membership.read, room, 0), self._clock(), room

    def wait(self) -> None:
        """Wait until the batch being read arrives or fails."""
        if self._batch is not None:
            self._batch[0].exception()

    def take(self) -> Taken | None:
        """Return the prefetched events, None when there are none.

        Raises:
            GroupLost, RedisFailure: as raised by the reading.
        """
        batch, self._batch = self._batch, None
        # An empty answer is an old one: events may have come while the sink was at work.
        return (found, *batch[1:]) if batch is not None and (found := batch[0].result()) else None

    def give_up(self) -> list[str]:
        """Return the ids of a prefetched batch that will not be begun, to be released.

        Raises:
            GroupLost, RedisFailure: as raised by the reading.
        """
        taken = self.take()
        return [one.id for one in taken[0]] if taken else []

    def forget(self) -> None:
        """Forget a batch that is reclaimed with all that is pending under the consumer's name."""
        self.wait()
        self._batch = None

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
