"""Decide the size of the next batch, the wait before it, and the limit on a bridge's events a second.

A batch should take a fraction of a second: then little is in flight when a process is killed or asked to stop, and no
event waits until half of its lease is over. While no delivery succeeds, single events are tried, with growing waits, so
that a broken sink does not turn a whole stream into failures. The caller passes the time.
"""

from collections.abc import Callable

from synapse.runtime.backoff import Backoff

# The time that a batch should take, in seconds: a kill repeats that much work, and acknowledging takes about a fiftieth
# of it.
_BATCH_SECONDS = 0.05
# The assumed time of an event before the first one is measured, in seconds.
_FIRST_GUESS = 0.005
# After this many failures in a row, the cause is taken to be the sink and not single events.
MANY_FAILURES = 25

FAILING = Backoff(base=1.0, cap=30.0)
AWAY = Backoff(base=0.5, cap=10.0)
# Waits between attempts to reach Redis.
RECONNECT = Backoff(base=0.2, cap=5.0)


class BatchSizer:
    """Chooses batch sizes and waits, from how long events take and whether they succeed.

    `lease` is in seconds. `together` is the number of events that the sink processes at once.
    """

    def __init__(self, lease: float, *, together: int = 1) -> None:
        self._together = together
        self._goal = min(_BATCH_SECONDS, lease / 2) or _BATCH_SECONDS
        self._seconds = _FIRST_GUESS
        self._failures = 0
        self._absences = 0

    def allowed_count(self, most: int) -> int:
        """Return the number of events to take now, `most` at most."""
        if self.is_probing:
            return min(most, 1)
        return min(most, max(self._together, int(self._goal / self._seconds))) if most > 0 else 0

    @property
    def is_probing(self) -> bool:
        """Say whether single events are tried, because no delivery succeeds."""
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
        """Record that the sink was unavailable."""
        self._absences += 1

    def backoff(self, chance: float) -> float:
        """Return the seconds to wait before the next batch; `chance` as for `Backoff.delay`."""
        if self._absences:
            return AWAY.delay(self._absences, chance)
        if self._failures >= MANY_FAILURES:
            return FAILING.delay(self._failures - MANY_FAILURES + 1, chance)
        return 0.0


# Tolerance for rounding errors, in events; and the shortest wait in seconds, because of the clock's resolution.
_ROUNDING = 1e-6
_SHORTEST = 0.001


class Rate:
    """Limits events to `limit` a second; after a pause, to those of one second at once. `clock` gives seconds."""

    def __init__(self, limit: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._allowed = 1.0

    def allowed_count(self) -> int:
        """Return the number of events that are allowed now."""
        now = self._clock()
        self._allowed = min(max(1.0, self._limit), self._allowed + (now - self._since) * self._limit)
        self._since = now
        return max(0, int(self._allowed + _ROUNDING))

    def seconds_until_allowed(self) -> float:
        """Return the seconds until an event is allowed; 0 when one is allowed now."""
        return 0.0 if self.allowed_count() else max(_SHORTEST, (1.0 - self._allowed) / self._limit)

    def consume(self, count: int) -> None:
        """Record that `count` events were taken."""
        self._allowed -= count
