"""Work of which a process does only so much at a time, and the order of those who wait for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.problems import Problem
from core.shares import CallerId


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
        self._waiting: dict[CallerId, deque[tuple[int, asyncio.Future[None]]]] = {}
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

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
        self._waiting.setdefault(caller, deque()).append(entry)
        try:
            async with asyncio.timeout(self._patience):
                await entry[1]
        except BaseException as error:
            if entry[1].done() and not entry[1].cancelled():
                self.running -= weight  # admitted in the moment in which it gave up
            else:
                self._leave(caller, entry)
            self._admit()
            if isinstance(error, TimeoutError):
                raise QueueTooLong(self._things, self._patience) from None
            raise

    def _leave(self, caller: CallerId, entry: tuple[int, asyncio.Future[None]]) -> None:
        line = self._waiting.get(caller, deque())
        if entry in line:
            line.remove(entry)
        if not line:
            self._waiting.pop(caller, None)

    def _admit(self) -> None:
        while self._waiting:
            caller = next(iter(self._waiting))
            line = self._waiting[caller]
            weight, future = line[0]
            # One who goes away at this moment is still in the line.
            if not future.done():
                if self.running + weight > self._capacity:
                    return
                self.running += weight
                future.set_result(None)
            line.popleft()
            # Behind all others who wait.
            del self._waiting[caller]
            if line:
                self._waiting[caller] = line
