"""Pools of threads that callers share: each has its part of the threads and of the queue, and all take turns.

The event loop alone keeps the books, so nothing here takes a lock.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from synapse.shares import CallerId, Limits, Shares
from synapse.shares.round_robin import RoundRobinQueue

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
        """Give a thread back, and let whoever may have it next run."""
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
