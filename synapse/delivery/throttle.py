"""How many events a second a bridge delivers, at most."""

from collections.abc import Callable

# What is missing to an event by rounding is not waited for, and no wait is shorter than a clock can tell.
_ROUNDING = 1e-6
_SHORTEST = 0.001


class Rate:
    """Allows `limit` events a second, and after a silence those of one second at once. `clock` gives seconds."""

    def __init__(self, limit: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._allowed = 1.0

    def room(self) -> int:
        """Return how many events are allowed now."""
        now = self._clock()
        self._allowed = min(max(1.0, self._limit), self._allowed + (now - self._since) * self._limit)
        self._since = now
        return max(0, int(self._allowed + _ROUNDING))

    def wait(self) -> float:
        """Return how long it takes until an event is allowed, in seconds; 0 when one is."""
        return 0.0 if self.room() else max(_SHORTEST, (1.0 - self._allowed) / self._limit)

    def take(self, count: int) -> None:
        """Note that so many were taken."""
        self._allowed -= count
