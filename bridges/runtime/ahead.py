"""Reading the next events while a sink is at work with the last ones, so that the two need not take turns."""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from bridges.errors import GroupLost
from bridges.runtime.membership import Membership
from streams.broker.delivery import Held
from streams.errors import Unavailable

# Worth a second thread only where there is much to read: small batches come from a slow sink, or an empty stream.
WORTH = 100

Taken = tuple[Sequence[Held], float]


class ReadAhead:
    """At most one batch ahead of the sink. `clock` gives seconds; its time is that at which the batch was asked for."""

    def __init__(self, membership: Membership, clock: Callable[[], float]) -> None:
        self._membership = membership
        self._clock = clock
        self._pool: ThreadPoolExecutor | None = None
        self._batch: tuple[Future[list[Held]], float] | None = None

    def begin(self, room: int) -> None:
        """Read up to so many events, without waiting for any."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._batch = self._pool.submit(self._membership.read, room, 0), self._clock()

    def take(self) -> Taken | None:
        """Return the batch that was read and since when it is in hand, None when nothing was asked for.

        Raises:
            GroupLost, Unavailable: what reading it raised.
        """
        batch, self._batch = self._batch, None
        return None if batch is None else (batch[0].result(), batch[1])

    def drop(self) -> list[str]:
        """Return the ids of a batch that nobody will begin: it is to be given back."""
        with contextlib.suppress(GroupLost, Unavailable):
            if taken := self.take():
                return [one.id for one in taken[0]]
        return []

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
