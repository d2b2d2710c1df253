"""How far a worker is and how it fares. One thread writes it, others may read."""

import time
from collections.abc import Callable

from synapse.delivery.status import State, Status


class Progress:
    """Counts since the worker began, and what it does now. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._state: State = "starting"
        self._since = clock()
        self._reason = ""
        self._last_delivered_at: float | None = None
        self.delivered = 0
        self.failed = 0
        self.dead = 0
        self.filtered = 0
        self.lost = 0
        # The last thing that went wrong with an event.
        self.error = ""

    def took(self, count: int) -> None:
        """Note that the sink took so many events."""
        if count:
            self.delivered += count
            self._last_delivered_at = self._clock()

    def failed_at(self, text: str) -> None:
        """Note what went wrong with an event."""
        self.failed += 1
        self.error = text

    def goes_on(self) -> None:
        """Note that nothing keeps it from working."""
        self._turn("running", "")

    def rests(self) -> None:
        """Note that it is paused."""
        self._turn("paused", "")

    def waits_for(self, reason: str, *, broken: bool = False) -> None:
        """Note what keeps it from working; `broken`: somebody has to put it right."""
        self._turn("failed" if broken else "waiting", reason)

    def status(self) -> Status:
        """Return all of it as a value."""
        return Status(
            state=self._state,
            since=self._since,
            reason=self._reason,
            error=self.error,
            last_delivered_at=self._last_delivered_at,
            delivered=self.delivered,
            failed=self.failed,
            dead=self.dead,
            filtered=self.filtered,
            lost=self.lost,
        )

    def _turn(self, state: State, reason: str) -> None:
        if state != self._state:
            self._since = self._clock()
        self._state, self._reason = state, reason
