"""When to try again what keeps failing."""

import time
from collections.abc import Callable


class Backoff:
    """Waits longer after each failure: `first` seconds, then twice as long each time, at most `longest`.

    What went well for `calm` seconds after a failure counts as well again.
    """

    def __init__(
        self,
        *,
        first: float = 0.5,
        longest: float = 10.0,
        calm: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first, self._longest, self._calm, self._clock = first, longest, calm, clock
        self._due = float("-inf")
        self.delay = 0.0

    def failed(self) -> float:
        """Note a failure now. Return how many seconds to wait before the next try."""
        is_calm = self._clock() >= self._due + self._calm
        self.delay = self._first if is_calm else min(self.delay * 2, self._longest)
        self._due = self._clock() + self.delay
        return self.delay

    def is_due(self) -> bool:
        """Say whether the wait after the last failure is over."""
        return self._clock() >= self._due
