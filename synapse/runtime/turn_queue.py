"""A queue of turns for long work on the event loop: one piece of work at a time, with other due work in between."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

# The longest time in seconds for which a task keeps the event loop.
TURN = 0.005


class TurnQueue:
    """Resumes conversations that yield to other work.

    All conversations of an event loop together take one turn; then two iterations of the loop follow. However many
    there are, other work waits for one turn at most.
    """

    def __init__(self) -> None:
        # The functions to call, each with whether the turn ends after the call, however short it was.
        self._waiting: deque[tuple[Callable[[], None], bool]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, go_on: Callable[[], None], *, is_last: bool = False) -> None:
        """Call a function in its turn. `is_last`: the call starts longer work, so the turn ends after it."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Calls for a stopped loop would wait forever.
            self._loop = loop
            self._waiting.clear()
        self._waiting.append((go_on, is_last))
        if len(self._waiting) == 1:
            loop.call_soon(self._run)

    async def turn(self) -> None:
        """Wait for the turn of the current task."""
        future = asyncio.get_running_loop().create_future()
        self.enter(partial(_wake, future), is_last=True)
        await future

    def _run(self) -> None:
        until = time.monotonic() + TURN
        while self._waiting:
            # The function stays in the queue during its call, so that a nested `enter` does not schedule `_run` again.
            go_on, is_last = self._waiting[0]
            go_on()
            self._waiting.popleft()
            if is_last or time.monotonic() > until:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._let_tasks_go_first)

    def _let_tasks_go_first(self) -> None:
        # A future that is resolved in a turn wakes its task only after the callbacks that are already scheduled. If the
        # queue ran at once, that task would wait for two turns.
        asyncio.get_running_loop().call_soon(self._run)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


turn_queue = TurnQueue()
