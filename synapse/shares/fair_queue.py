"""Work of which a process does only so much at a time, and the order of those who wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from synapse.problems import Problem
from synapse.shares import CallerId
from synapse.shares.round_robin import RoundRobinQueue


class QueueTooLong(Problem):
    """It was not the caller's turn within the time that anybody is kept waiting."""

    status = 503
    slug = "busy"
    title = "Too much is being answered already"

    def __init__(self, things: str, patience: float) -> None:
        super().__init__(
            f"For {patience:g} s it was not the turn of this request: {things} are answered one after the other. Ask "
            "again later, or for less.",
            headers={"Retry-After": "1"},
        )


class FairQueue:
    """Admits work up to a total weight at a time. Callers who wait take turns, whatever each of them has waiting.

    Belongs to one event loop.
    """

    def __init__(self, things: str, *, capacity: int, patience: float) -> None:
        """Admit `capacity` at a time; refuse who waited `patience` seconds. `things` are named in the refusal."""
        self._things = things
        self._capacity = capacity
        self._patience = patience
        self._waiting: RoundRobinQueue[CallerId, tuple[int, asyncio.Future[None]]] = RoundRobinQueue()
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, caller: CallerId, weight: int = 1) -> AsyncIterator[None]:
        """Wait for the caller's turn, and have it for as long as the block lasts. What weighs more than the capacity
        is done alone.

        Raises:
            QueueTooLong: when that takes too long.
        """
        weight = min(weight, self._capacity)
        if self._waiting or self.running + weight > self._capacity:
            await self._wait(caller, weight)
        else:
            self.running += weight
        try:
            yield
        finally:
            self.running -= weight
            self._admit()

    async def _wait(self, caller: CallerId, weight: int) -> None:
        entry = weight, asyncio.get_running_loop().create_future()
        self._waiting.add(caller, entry)
        try:
            async with asyncio.timeout(self._patience):
                await entry[1]
        except BaseException as error:
            if entry[1].done() and not entry[1].cancelled():
                self.running -= weight  # admitted in the moment in which it gave up
            else:
                self._waiting.remove(caller, entry)
            self._admit()
            if isinstance(error, TimeoutError):
                raise QueueTooLong(self._things, self._patience) from None
            raise

    def _admit(self) -> None:
        while self._waiting:
            caller = next(iter(self._waiting))
            weight, future = self._waiting.first(caller)
            # One who goes away at this moment is still in the queue.
            if not future.done():
                if self.running + weight > self._capacity:
                    return
                self.running += weight
                future.set_result(None)
            self._waiting.take(caller)
