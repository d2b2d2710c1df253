"""Waiting times before repeated tries. Time and chance are arguments."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits that double from `base` up to `cap`, in seconds."""

    base: float = 0.5
    cap: float = 10.0

    def delay(self, failures: int, chance: float = 1.0) -> float:
        """Return the wait in seconds after this many consecutive failures, from 1.

        `chance`, from 0 to 1, spreads callers that failed together over half to all of the wait.
        """
        # At this number of failures every cap is reached; a higher power would only grow without bound.
        doubled = self.base * 2.0 ** min(failures - 1, 60)
        wait: float = min(self.cap, doubled) * (0.5 + chance / 2)
        return wait
