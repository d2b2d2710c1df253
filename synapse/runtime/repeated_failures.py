"""Tell a new failure from one that lasts: the log has it once."""

import math
import time
from collections.abc import Callable


class RepeatedFailures:
    """The latest failure of each subject, such as a stream; "" where there is one subject.

    Args:
        silence: after how many seconds a failure that lasts is new again.
        clock: gives seconds.
    """

    def __init__(self, *, silence: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence = silence
        self._clock = clock
        self._latest: dict[str, tuple[str, float]] = {}

    def is_new(self, failure: str, subject: str = "") -> bool:
        """Note that a subject failed. Return whether it had not failed before, or in another way."""
        latest, until = self._latest.get(subject, (None, 0.0))
        if failure == latest and self._clock() < until:
            return False
        self._latest[subject] = failure, self._clock() + self._silence
        return True

    def end(self, subject: str = "") -> None:
        """Note that a subject works."""
        self._latest.pop(subject, None)
