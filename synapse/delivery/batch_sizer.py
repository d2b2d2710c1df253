"""Decide how many events to take at once, how long to rest before, and how many a second a bridge delivers at most.

A batch should take a fraction of a second: then little is in flight when a process is killed or asked to stop, and no
event waits until its lease is half over. While nothing succeeds, one event is tried now and then, so that a broken
sink does not have a whole stream read for it. Time is an argument.
"""

from collections.abc import Callable

from synapse.runtime.backoff import Backoff

# The time that a batch should take, in seconds: a kill repeats that much work, and acknowledging takes about a fiftieth
# of it.
_BATCH_SECONDS = 0.05
# The assumed time of an event before the first one is measured, in seconds.
_FIRST_GUESS = 0.005
# After this many failures in a row the cause is not a single event.
MANY_FAILURES = 25

FAILING = Backoff(base=1.0, cap=30.0)
AWAY = Backoff(base=0.5, cap=10.0)
# For a Redis that cannot be used.
RECONNECT = Backoff(base=0.2, cap=5.0)


class BatchSizer:
    """Follows how long events take and whether they succeed.

    `lease` is in seconds. `together`: how many events the sink has in work at once.
    """

    def __init__(self, lease: float, *, together: int = 1) -> None:
        self._together = together
        self._goal = min(_BATCH_SECONDS, lease / 2) or _BATCH_SECONDS
        self._seconds = _FIRST_GUESS
        self._failures = 0
        self._absences = 0

    def allowed(self, most: int) -> int:
        """Return how many of at most `most` events to take now."""
        if self.is_probing:
            return min(most, 1)
        return min(most, max(self._together, int(self._goal / self._seconds))) if most > 0 else 0

    @property
    def is_probing(self) -> bool:
        """Say whether single events are tried, because the sink takes so little."""
        return self._absences > 0 or self._failures >= MANY_FAILURES

    def record_latency(self, events: int, seconds: float) -> None:
        """Record how long these events took together."""
        each = max(seconds / events, 1e-6) if events else self._seconds
        self._seconds = (self._seconds + each) / 2

    def record_outcome(self, *, taken: int, failed: int) -> None:
        """Record the outcome of a batch; `failed` counts the errors that the sink, not the event, caused."""
        self._absences = 0
        self._failures = 0 if taken else self._failures + failed

    def record_unavailable(self) -> None:
        """Record that the sink could take nothing."""
        self._absences += 1

    def backoff(self, chance: float) -> float:
        """Return the seconds to wait before the next events are taken; `chance` as for Backoff."""
        if self._absences:
            return AWAY.delay(self._absences, chance)
        if self._failures >= MANY_FAILURES:
            return FAILING.delay(self._failures - MANY_FAILURES + 1, chance)
        return 0.0


# A rounding error below one event causes no wait, and no wait is shorter than the clock's resolution.
_ROUNDING = 1e-6
_SHORTEST = 0.001


class Rate:
    """Allows `limit` events a second, and after a silence those of one second at once. `clock` gives seconds."""

    def __init__(self, limit: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._allowed = 1.0

    def allowed(self) -> int:
        """Return how many events are allowed now."""
        now = self._clock()
        self._allowed = min(max(1.0, self._limit), self._allowed + (now - self._since) * self._limit)
        self._since = now
        return max(0, int(self._allowed + _ROUNDING))

    def wait(self) -> float:
        """Return how long it takes until an event is allowed, in seconds; 0 when one is."""
        return 0.0 if self.allowed() else max(_SHORTEST, (1.0 - self._allowed) / self._limit)

    def take(self, count: int) -> None:
        """Note that so many were taken."""
        self._allowed -= count
