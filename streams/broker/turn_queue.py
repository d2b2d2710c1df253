"""Who goes on with long work on the event loop: one after the other, and between them all else that is due."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

# How long the event loop is kept at a stretch, in seconds.
TURN = 0.005


class TurnQueue:
    """Lets conversations go on that let others go first. Those of one event loop together take a turn for each time
    that the loop looks for what is due: however many there are, nobody else waits for more than one turn."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None] | asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, waiting: Callable[[], None] | asyncio.Future[None]) -> None:
        """Call a function, or wake the task behind a future, when it is its turn."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Those of a loop that was stopped wait for ever.
            self._loop = loop
            self._waiting.clear()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._run)

    async def turn(self) -> None:
        """Wait for the turn of this task."""
        future = asyncio.get_running_loop().create_future()
        self.enter(future)
        await future

    def _run(self) -> None:
        until = time.monotonic() + TURN
        while self._waiting:
            # It stays in the queue meanwhile, for what it enters must not call this a second time.
            waiting = self._waiting[0]
            if isinstance(waiting, asyncio.Future):
                if not waiting.done():
                    waiting.set_result(None)
            else:
                waiting()
            self._waiting.popleft()
            if isinstance(waiting, asyncio.Future) or time.monotonic() > until:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)


turn_queue = TurnQueue()
