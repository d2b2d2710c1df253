"""Writing to a file, pipe or terminal whose reader may be slow, stuck or gone."""

import errno
import os
import select
import time
from collections.abc import Callable

# A pipe that is ready takes this much without blocking (POSIX: PIPE_BUF), and so does a terminal, mostly.
_CHUNK = select.PIPE_BUF
_LOOK_EVERY = 0.2
# How long a stuck reader may keep a process from stopping, in seconds.
PATIENCE = 1.0


class Outlet:
    """Writes bytes, and knows how many were taken.

    `stopping` says whether the process was asked to stop: then a reader that takes nothing is not waited for.
    """

    def __init__(self, descriptor: int, *, stopping: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._stopping = stopping
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken: fewer than all when the reader went away or the process is to stop."""
        taken = 0
        while taken < len(data) and self._is_ready():
            try:
                taken += os.write(self._descriptor, data[taken : taken + _CHUNK])
            except OSError as error:
                self.failure = error
        return taken

    def is_closed(self) -> bool:
        """Say whether nobody reads any more."""
        if self.failure is not None:
            return True
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return any(seen & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, seen in poll.poll(0))

    def why_closed(self) -> str:
        """Return what went wrong, or "" when the reader had enough, as `head` does."""
        if self.failure is None or self.failure.errno == errno.EPIPE:
            return ""
        return self.failure.strerror or str(self.failure)

    def _is_ready(self) -> bool:
        deadline = time.monotonic() + PATIENCE
        while self.failure is None:
            if select.select([], [self._descriptor], [], _LOOK_EVERY)[1]:
                return True
            if not self._stopping():
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                return False
        return False
