"""Repeated steps in a thread, the time of the next try after a failure, and reports on work that takes long."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from synapse.runtime.backoff import Backoff
from synapse.runtime.repeated_failures import RepeatedFailures

logger = logging.getLogger(__name__)
_BACKOFF = Backoff()


class RetryTimer:
    """Computes when the next try is due. A try that succeeded for `calm` seconds resets the waits."""

    def __init__(
        self, backoff: Backoff = _BACKOFF, *, calm: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._backoff, self._calm, self._clock = backoff, calm, clock
        self._failures = 0
        self._due = float("-inf")

    @property
    def delay(self) -> float:
        """The seconds between the last failure and the next try."""
        return self._backoff.delay(self._failures)

    def record_failure(self) -> float:
        """Record a failure now. Return the seconds to wait before the next try."""
        self._failures = 1 if self._clock() >= self._due + self._calm else self._failures + 1
        self._due = self._clock() + self.delay
        return self.delay

    def is_due(self) -> bool:
        """Say whether the wait after the last failure is over."""
        return self._clock() >= self._due


class Periodic:
    """Calls `step` every `seconds` in a daemon thread, beginning at once.

    A failed step is logged, once for consecutive equal failures, and tried again in the next turn: an outage of the
    database or Redis must not end the work.
    """

    def __init__(self, name: str, seconds: float, step: Callable[[], object]) -> None:
        self._name = name
        self._seconds = seconds
        self._step = step
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = RepeatedFailures()

    def start(self) -> None:
        """Start the thread. A second call changes nothing."""
        if self._thread is None:
            # A new event for each thread: the next start must not wake a thread that outlived its stop.
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._loop, args=[self._stop], name=self._name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, and wait up to five seconds for its current step."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.run_step()
            stop.wait(self._seconds)

    def run_step(self) -> None:
        """Run one step and log its failure."""
        try:
            self._step()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            if self._failures.is_new(failure):
                logger.warning("%s: %s", self._name, failure, exc_info=logger.isEnabledFor(logging.DEBUG))
        else:
            self._failures.end()


@contextmanager
def report_long_work(say: Callable[[str], object], what: str, *, every: float = 5.0) -> Iterator[None]:
    """Report every five seconds for how long the block has been running. A shorter block reports nothing."""
    is_over = threading.Event()

    def report() -> None:
        began = time.monotonic()
        while not is_over.wait(every):
            with suppress(OSError):  # the terminal is gone
                say(f"{what}: {time.monotonic() - began:.0f} s so far.")

    teller = threading.Thread(target=report, name="long-work", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
