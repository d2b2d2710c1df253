"""An end for requests that take too long."""

import asyncio
from types import TracebackType
from typing import Any, cast


class TimeLimit:
    """How long each of many tasks may take for what it does in a `with`. To be used on one event loop.

    There is one timer for all of them: they have the same time, so who began first is the first to run out of it. A
    timer for each would take a tenth of the time that a request takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # When each has to be done, the first one first. Those that ran out of time are not here.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        task = self._task()
        self._ends[task] = end = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._look)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Let the task go on.

        Raises:
            TimeoutError: when it took too long.
        """
        task = self._task()
        is_late = self._ends.pop(task, None) is None
        # One that somebody else cancelled as well stays cancelled.
        if is_late and task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def close(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _task(self) -> asyncio.Task[Any]:
        return cast(asyncio.Task[Any], asyncio.current_task(self._loop))

    def _look(self) -> None:
        now = self._loop.time()
        self._timer = None
        for task, end in list(self._ends.items()):
            if end > now:
                self._timer = self._loop.call_at(end, self._look)
                return
            del self._ends[task]
            task.cancel()
