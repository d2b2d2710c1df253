"""Clean shutdown: events in flight are finished, and only waits are cut short."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Interrupted(BaseException):
    """A stop was requested during a wait. Not an Exception, so that no handler catches it by accident."""


class Stop:
    """A request to stop, made by a signal in the main thread, which also checks it.

    There is no lock, because a signal handler runs between two instructions of the main thread, which might hold it.
    """

    def __init__(self) -> None:
        self._requested = False
        self._waiting = False

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._requested

    def on_signals(self) -> None:
        """Request a stop on the signals that ask a program to stop. A second signal ends the program at once.

        SIGHUP stays ignored if nohup ignored it. SIGINT does not: a script's shell lets its background programs ignore
        it, but a SIGINT that is sent to one is intended.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def request(self) -> None:
        """Request the stop. Raises Interrupted in a wait of the same thread."""
        self._requested = True
        if self._waiting:
            raise Interrupted

    def run_interruptibly(self, wait: Callable[[], T]) -> T:
        """Run `wait`, which a requested stop interrupts, and return its result.

        Raises:
            Interrupted: when a stop was requested before, or is requested during the wait.
        """
        try:
            self._waiting = True
            if self.requested:
                raise Interrupted
            return wait()
        finally:
            self._waiting = False

    def sleep(self, seconds: float) -> None:
        """Sleep; raises Interrupted as `run_interruptibly` does."""
        self.run_interruptibly(lambda: time.sleep(seconds))

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.request()


class ThreadStop(Stop):
    """A request to stop a thread, made by another one. `interrupt` is called to end the thread's wait."""

    def __init__(self) -> None:
        super().__init__()
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.interrupt: Callable[[], None] = lambda: None

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        # Under the lock, so that nothing but the wait is interrupted.
        with self._lock:
            self._event.set()
            if self._waiting:
                self.interrupt()

    def run_interruptibly(self, wait: Callable[[], T]) -> T:
        with self._lock:
            if self.requested:
                raise Interrupted
            self._waiting = True
        try:
            return wait()
        except Exception:
            if self.requested:
                raise Interrupted from None
            raise
        finally:
            with self._lock:
                self._waiting = False

    def sleep(self, seconds: float) -> None:
        if self._event.wait(seconds):
            raise Interrupted
