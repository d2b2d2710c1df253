"""Who goes on with long work on the event loop: one after the other, and between them all else that is due."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

# How long the event loop is kept at a stretch, in seconds.
TURN = 0.005


class TurnQueue:
    """Lets conversations go on that let others go first. Those of one event loop together take a turn for each time
    that the loop looks for what is due: however many there are, nobody else waits for more than one turn."""

    def __init__(self) -> None:
        # With whether the loop looks for what is due behind it, however short it was.
        self._waiting: deque[tuple[Callable[[], None], bool]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self, go_on: Callable[[], None], *, is_last: bool = False) -> None:
        """Call a function when it is its turn. `is_last`: what it begins takes its time behind it, so that nothing else
        goes on in the same turn."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Those of a loop that was stopped wait for ever.
            self._loop = loop
            self._waiting.clear()
        self._waiting.append((go_on, is_last))
        if len(self._waiting) == 1:
            loop.call_soon(self._run)

    async def turn(self) -> None:
        """Wait for the turn of this task."""
        future = asyncio.get_running_loop().create_future()
        self.enter(partial(_wake, future), is_last=True)
        await future

    def _run(self) -> None:
        until = time.monotonic() + TURN
        while self._waiting:
            # It stays in the queue meanwhile, for what it enters must not call this a second time.
            go_on, is_last = self._waiting[0]
            go_on()
            self._waiting.popleft()
            if is_last or time.monotonic() > until:
                break
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._run)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


turn_queue = TurnQueue()
