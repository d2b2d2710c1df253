"""Pools of threads that are shared fairly: the queue is bounded, and so is the part of it that one caller may take.

The event loop alone keeps the books, so nothing here takes a lock.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from core.problems import Problem

RETRY_SECONDS = 2

Result = TypeVar("Result")


class PoolFull(Problem):
    """The queue of a pool of threads is full, or the caller's part of it."""

    status = 503
    slug = "busy"
    title = "Too much is being answered already"

    def __init__(self) -> None:
        detail = f"Too many requests like this one wait already. Send it again in {RETRY_SECONDS} seconds."
        super().__init__(detail, headers={"Retry-After": str(RETRY_SECONDS)})


class Quota(NamedTuple):
    """What the requests that go by one name may take of a pool together.

    Attributes:
        name: the name by which they are counted, such as that of a key or of an address.
        threads: how many may run at a time.
        waiting: how many more may wait for a thread.
    """

    name: str
    threads: int
    waiting: int


class Part(NamedTuple):
    """How many requests may run, and how many more may wait."""

    threads: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """How large a pool is, and the parts of it that callers may take.

    Attributes:
        whole: the pool.
        caller: the part of a service, or of a person.
        address: the part of an anonymous caller.
        anonymous: the part of all anonymous callers together.
    """

    whole: Part
    caller: Part
    address: Part
    anonymous: Part


class _Ticket(NamedTuple):
    """A request that waits; its turn has come when `turn` is done."""

    quotas: Sequence[Quota]
    turn: "asyncio.Future[None]"


class FairPool:
    """Runs functions in threads, in turn: first one of each caller, then the next of each."""

    def __init__(self, name: str, limits: PoolLimits) -> None:
        self.limits = limits
        self._idle, self._free_places = limits.whole
        self._executor = ThreadPoolExecutor(self._idle, thread_name_prefix=name)
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        # By caller, the one whose turn is next first.
        self._queues: OrderedDict[str, deque[_Ticket]] = OrderedDict()

    async def run(self, quotas: Sequence[Quota], function: Callable[..., Result], *arguments: Any) -> Result:
        """Return the result of a function that a thread calls when its turn has come.

        Args:
            quotas: what limits the request; the first one names its caller.
            function: what is called, with `arguments`.

        Raises:
            PoolFull: when the queue is full, or the part of it that one of the quotas leaves.
        """
        await self._turn(quotas)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
        finally:
            self._release(quotas)

    async def _turn(self, quotas: Sequence[Quota]) -> None:
        """Take a thread, at once or in turn."""
        if self._may_run(quotas):
            self._take(quotas)
            return
        if not self._free_places or any(self._waiting[quota.name] >= quota.waiting for quota in quotas):
            raise PoolFull
        ticket = _Ticket(quotas, asyncio.get_running_loop().create_future())
        self._enqueue(ticket)
        try:
            await ticket.turn
        except asyncio.CancelledError:
            if ticket.turn.cancelled():
                self._dequeue(ticket)
            else:
                self._release(quotas)
            raise

    def _may_run(self, quotas: Sequence[Quota]) -> bool:
        return self._idle > 0 and all(self._running[quota.name] < quota.threads for quota in quotas)

    def _take(self, quotas: Sequence[Quota]) -> None:
        self._idle -= 1
        _add(self._running, quotas, 1)

    def _release(self, quotas: Sequence[Quota]) -> None:
        """Give a thread back, and let whoever may have it next run."""
        self._idle += 1
        _add(self._running, quotas, -1)
        while (ticket := self._next()) is not None:
            self._dequeue(ticket)
            self._take(ticket.quotas)
            ticket.turn.set_result(None)

    def _next(self) -> _Ticket | None:
        return next((queue[0] for queue in self._queues.values() if self._may_run(queue[0].quotas)), None)

    def _enqueue(self, ticket: _Ticket) -> None:
        self._free_places -= 1
        _add(self._waiting, ticket.quotas, 1)
        self._queues.setdefault(ticket.quotas[0].name, deque()).append(ticket)

    def _dequeue(self, ticket: _Ticket) -> None:
        self._free_places += 1
        _add(self._waiting, ticket.quotas, -1)
        caller = ticket.quotas[0].name
        queue = self._queues[caller]
        queue.remove(ticket)
        if queue:
            self._queues.move_to_end(caller)
        else:
            del self._queues[caller]


def _add(counts: "Counter[str]", quotas: Sequence[Quota], number: int) -> None:
    """Count up or down; names that nothing goes by any more are forgotten."""
    for quota in quotas:
        counts[quota.name] += number
        if not counts[quota.name]:
            del counts[quota.name]
