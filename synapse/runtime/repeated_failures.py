"""Recognizing a failure that lasts, so that it is logged once."""

import math
import time
from collections.abc import Callable


class RepeatedFailures:
    """The latest failure of each subject, such as a stream; "" when there is only one subject.

    Args:
        silence: the seconds after which a lasting failure counts as new again.
        clock: returns seconds.
    """

    def __init__(self, *, silence: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence = silence
        self._clock = clock
        self._latest: dict[str, tuple[str, float]] = {}

    def is_new(self, failure: str, subject: str = "") -> bool:
        """Record a failure of a subject. Return whether the subject had not failed before, or had failed in another
        way.
        """
        latest, until = self._latest.get(subject, (None, 0.0))
        if failure == latest and self._clock() < until:
            return False
        self._latest[subject] = failure, self._clock() + self._silence
        return True

    def end(self, subject: str = "") -> None:
        """Record that a subject works."""
        self._latest.pop(subject, None)
