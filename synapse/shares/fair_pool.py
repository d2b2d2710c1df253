"""Queues and thread pools that callers share: each caller has a share, and all take turns.

Only the event loop changes their state, so no lock is needed.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from synapse.shares import AllInUse, CallerId, Limits, Shares

Caller = TypeVar("Caller", bound=Hashable)
Item = TypeVar("Item")


class RoundRobinQueue(Generic[Caller, Item]):
    """Items by caller: the first item of each caller, then the second of each, and so on."""

    def __init__(self) -> None:
        # The caller with the next turn comes first. Every caller in here has an item.
        self._items: OrderedDict[Caller, deque[Item]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Caller]:
        """Yield the callers with waiting items, in the order of their turns."""
        return iter(self._items)

    def count_of(self, caller: Caller) -> int:
        """Return the number of a caller's waiting items."""
        return len(self._items.get(caller, ()))

    def add(self, caller: Caller, item: Item) -> None:
        """Put an item behind the caller's others."""
        self._items.setdefault(caller, deque()).append(item)
        self._length += 1

    def first(self, caller: Caller) -> Item:
        """Return the next item of a caller."""
        return self._items[caller][0]

    def take(self, caller: Caller) -> Item:
        """Remove and return a caller's next item. The caller's next turn comes after those of all others."""
        items = self._items[caller]
        item = items.popleft()
        self._length -= 1
        if items:
            self._items.move_to_end(caller)
        else:
            del self._items[caller]
        return item

    def take_next(self, may_have: Callable[[Caller], bool]) -> tuple[Caller, Item] | None:
        """Remove and return the next item of the first caller that may have a turn now, with the caller."""
        for caller in self._items:
            if may_have(caller):
                return caller, self.take(caller)
        return None

    def postpone(self, caller: Caller) -> None:
        """Move a caller's turn behind those of all others."""
        self._items.move_to_end(caller)

    def remove(self, caller: Caller, item: Item) -> None:
        """Remove an item from its place in the queue, if it is there. The caller keeps its turn."""
        items = self._items.get(caller)
        if items is None or item not in items:
            return
        items.remove(item)
        self._length -= 1
        if not items:
            del self._items[caller]


class FairQueue:
    """Admits work up to a total weight at a time. Waiting callers take turns, regardless of how much work each has
    waiting.

    Belongs to one event loop.
    """

    def __init__(self, things: str, *, capacity: int, patience: float) -> None:
        """Create the queue. It admits a weight of `capacity` at a time, and refuses work that waited `patience`
        seconds. `things` is the name of the resource in the refusal.
        """
        self._things = things
        self._capacity = capacity
        self._patience = patience
        self._waiting: RoundRobinQueue[CallerId, tuple[int, asyncio.Future[None]]] = RoundRobinQueue()
        self.running = 0

    @property
    def waiting(self) -> int:
        """The number of waiting calls."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, caller: CallerId, weight: int = 1) -> AsyncIterator[None]:
        """Wait for the caller's turn, and hold it until the block ends. Work that weighs more than the capacity runs
        alone.

        Raises:
            AllInUse: when the wait takes too long.
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
                self.running -= weight  # it was admitted at the moment when it gave up
            else:
                self._waiting.remove(caller, entry)
            self._admit()
            if isinstance(error, TimeoutError):
                detail = (
                    f"For {self._patience:g} s it was not the turn of this request: {self._things} are answered one "
                    "after the other. Ask again later, or for less."
                )
                raise AllInUse(detail) from None
            raise

    def _admit(self) -> None:
        while self._waiting:
            caller = next(iter(self._waiting))
            weight, future = self._waiting.first(caller)
            # A caller that has just disconnected is still in the queue.
            if not future.done():
                if self.running + weight > self._capacity:
                    return
                self.running += weight
                future.set_result(None)
            self._waiting.take(caller)


Result = TypeVar("Result")
_Turn = asyncio.Future[None]


class FairPool:
    """Runs functions in threads: one function of each waiting caller, then the next of each."""

    def __init__(self, name: str, *, threads: Limits, requests: Shares) -> None:
        """Create a pool.

        Args:
            name: the name of its threads.
            threads: the number of threads, and the limits of those that callers may use at a time.
            requests: the limits of the requests that may wait and run.
        """
        self._executor = ThreadPoolExecutor(threads.total, thread_name_prefix=name)
        self._threads = threads
        self.requests = requests
        self._idle = threads.total
        self._running: Counter[CallerId] = Counter()
        self._running_anonymous = 0
        self._waiting: RoundRobinQueue[CallerId, _Turn] = RoundRobinQueue()

    async def run(self, caller: CallerId, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function with `arguments` in a thread when the caller's turn has come, and return its result.

        Raises:
            ShareUsedUp, AllInUse: when too many requests of this caller, or of all, wait already.
        """
        with self.requests.holding(caller):
            await self._wait_for_thread(caller)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
            finally:
                self._give_back_thread(caller)

    async def _wait_for_thread(self, caller: CallerId) -> None:
        if self._may_run(caller):
            self._take_thread(caller)
            return
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._waiting.add(caller, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(caller, turn)
            else:
                self._give_back_thread(caller)
            raise

    def _may_run(self, caller: CallerId) -> bool:
        if not self._idle or self._running[caller] >= self._threads.of(caller):
            return False
        return not caller.is_anonymous or self._running_anonymous < self._threads.anonymous

    def _take_thread(self, caller: CallerId) -> None:
        self._idle -= 1
        self._running[caller] += 1
        self._running_anonymous += caller.is_anonymous

    def _give_back_thread(self, caller: CallerId) -> None:
        """Return a thread, and start the next work that may run."""
        self._idle += 1
        self._running_anonymous -= caller.is_anonymous
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
        while (following := self._waiting.take_next(self._may_run)) is not None:
            next_caller, turn = following
            if not turn.done():  # a caller that has just disconnected is still in the queue
                self._take_thread(next_caller)
                turn.set_result(None)
