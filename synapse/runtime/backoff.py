"""Compute how long to wait before something that failed is tried again. Time and chance are arguments."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits that double from `base` up to `cap`, in seconds."""

    base: float = 0.5
    cap: float = 10.0

    def delay(self, failures: int, chance: float = 1.0) -> float:
        """Return how long to wait after a number of failures in a row, from 1.

        `chance`, from 0 to 1, spreads those who failed together over half to all of the wait.
        """
        # Past this no wait is below any cap, and the power would grow without end.
        doubled = self.base * 2.0 ** min(failures - 1, 60)
        wait: float = min(self.cap, doubled) * (0.5 + chance / 2)
        return wait
