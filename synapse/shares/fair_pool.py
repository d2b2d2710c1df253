"""Queues and pools of threads that callers share: each caller has its part, and all take turns.

Only the event loop changes this state, so nothing here takes a lock.
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
        # The caller whose turn is next stands first; every caller here has an item.
        self._items: OrderedDict[Caller, deque[Item]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Caller]:
        """Yield the callers with waiting items, in the order of their turns."""
        return iter(self._items)

    def count_of(self, caller: Caller) -> int:
        """Return how many items a caller has waiting."""
        return len(self._items.get(caller, ()))

    def add(self, caller: Caller, item: Item) -> None:
        """Put an item behind the caller's others."""
        self._items.setdefault(caller, deque()).append(item)
        self._length += 1

    def first(self, caller: Caller) -> Item:
        """Return the item of a caller that would be taken next."""
        return self._items[caller][0]

    def take(self, caller: Caller) -> Item:
        """Return and remove a caller's first item; the caller's next turn comes after those of all others."""
        items = self._items[caller]
        item = items.popleft()
        self._length -= 1
        if items:
            self._items.move_to_end(caller)
        else:
            del self._items[caller]
        return item

    def take_next(self, may_have: Callable[[Caller], bool]) -> tuple[Caller, Item] | None:
        """Return and remove the first item of the first caller that may have a turn now, with the caller."""
        for caller in self._items:
            if may_have(caller):
                return caller, self.take(caller)
        return None

    def postpone(self, caller: Caller) -> None:
        """Let all others have their turns before this caller."""
        self._items.move_to_end(caller)

    def remove(self, caller: Caller, item: Item) -> None:
        """Remove an item wherever it stands, if it is there; the caller keeps its turn."""
        items = self._items.get(caller)
        if items is None or item not in items:
            return
        items.remove(item)
        self._length -= 1
        if not items:
            del self._items[caller]


class FairQueue:
    """Admits work up to a total weight at a time. Waiting callers take turns, no matter how much each has waiting.

    Belongs to one event loop.
    """

    def __init__(self, things: str, *, capacity: int, patience: float) -> None:
        """Admit `capacity` at a time; refuse work that waited `patience` seconds. `things` are named in the refusal."""
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
        """Wait for the caller's turn, and have it for as long as the block lasts. Work that weighs more than the
        capacity is done alone.

        Raises:
            AllInUse: when that takes too long.
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
            # A caller that disconnects at this moment is still in the queue.
            if not future.done():
                if self.running + weight > self._capacity:
                    return
                self.running += weight
                future.set_result(None)
            self._waiting.take(caller)


Result = TypeVar("Result")
_Turn = asyncio.Future[None]


class FairPool:
    """Runs functions in threads: first one of each caller that waits, then the next of each."""

    def __init__(self, name: str, *, threads: Limits, requests: Shares) -> None:
        """Make a pool.

        Args:
            name: what its threads are called.
            threads: how many there are, and how many of them callers may keep busy at a time.
            requests: how many requests may wait and run together.
        """
        self._executor = ThreadPoolExecutor(threads.total, thread_name_prefix=name)
        self._threads = threads
        self.requests = requests
        self._idle = threads.total
        self._running: Counter[CallerId] = Counter()
        self._running_anonymous = 0
        self._waiting: RoundRobinQueue[CallerId, _Turn] = RoundRobinQueue()

    async def run(self, caller: CallerId, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return the result of a function that a thread calls, with `arguments`, when the caller's turn has come.

        Raises:
            ShareUsedUp, AllInUse: when too many requests wait already, of this caller or of all.
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
            if not turn.done():  # one that goes away at this moment is still in the queue
                self._take_thread(next_caller)
                turn.set_result(None)
