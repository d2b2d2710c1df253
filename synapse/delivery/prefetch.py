"""Reads the next batch of events in a thread while the sink processes the current one."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from synapse.delivery.membership import Membership
from synapse.redis.commands.delivery import InFlightEvent

# The least size of a batch for which the next one is prefetched: small batches mean a slow sink or an empty stream.
WORTH = 100

# Events, when they were asked for (the clock's seconds), and the number that was asked for.
Taken = tuple[Sequence[InFlightEvent], float, int]


class Prefetcher:
    """Prefetches at most one batch.

    `clock` gives seconds. `worth` is the least size of a batch for which the next one is prefetched.
    """

    def __init__(self, membership: Membership, clock: Callable[[], float], *, worth: int = WORTH) -> None:
        self._membership = membership
        self._clock = clock
        self._worth = worth
        self._pool: ThreadPoolExecutor | None = None
        self._batch: tuple[Future[list[InFlightEvent]], float, int] | None = None

    def start_reading(self, room: int, *, after: int, asked: int) -> None:
        """Start to read up to `room` events, without waiting for new ones. Only if the last batch was full: it had
        `after` of the `asked` events.
        """
        if after < max(asked, self._worth):
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._batch = self._pool.submit(self._membership.read, room, 0), self._clock(), room

    def wait(self) -> None:
        """Wait until the batch that is being read arrives, or reading fails."""
        if self._batch is not None:
            self._batch[0].exception()

    def pop_batch(self) -> Taken | None:
        """Return the prefetched batch, and forget it; None when there is none.

        Raises:
            GroupLost, RedisFailure: as raised by the reading.
        """
        batch, self._batch = self._batch, None
        # An empty batch is ignored: events may have been added since it was read.
        return (found, *batch[1:]) if batch is not None and (found := batch[0].result()) else None

    def pop_ids(self) -> list[str]:
        """Return the ids of the prefetched batch, which the caller releases.

        Raises:
            GroupLost, RedisFailure: as raised by the reading.
        """
        taken = self.pop_batch()
        return [one.id for one in taken[0]] if taken else []

    def discard_batch(self) -> None:
        """Discard the prefetched batch: it is reclaimed with all entries pending under the consumer's name."""
        self.wait()
        self._batch = None

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
