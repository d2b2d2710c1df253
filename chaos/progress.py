"""What a run tells of itself while it goes on: lines on standard error, which `launcher.py` passes on."""

import sys
import time
from collections.abc import Callable

# How such a line begins: what else is on standard error are complaints.
MARK = "chaos: "
EVERY = 5.0


class Progress:
    """Tells what goes on, at most once in five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = clock()

    def tell(self, line: str) -> None:
        """Tell something at once."""
        self._told_at = self._clock()
        print(f"{MARK}{line}", file=sys.stderr, flush=True)

    def tell_when_due(self, line: Callable[[], str]) -> None:
        """Tell something when nothing was told for five seconds."""
        if self._clock() >= self._told_at + EVERY:
            self.tell(line())
