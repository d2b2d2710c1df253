"""Clean shutdown: events in flight are finished, and only waits are cut short."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Interrupted(BaseException):
    """A stop was requested while its process waited. No error: nothing should catch it by accident."""


class Stop:
    """Whether to stop. Requested by a signal, in the thread that asks for it.

    No lock is taken: a signal's handler runs between two instructions of that thread, which may hold it.
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

        SIGHUP stays ignored where nohup ignored it. SIGINT does not: a script's shell makes its background programs
        ignore it, and a SIGINT sent to one is meant for it.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def request(self) -> None:
        """Ask for the stop; raises Interrupted in a wait of the same thread."""
        self._requested = True
        if self._waiting:
            raise Interrupted

    def interruptible(self, wait: Callable[[], T]) -> T:
        """Return what `wait` returns.

        Raises:
            Interrupted: at any point in it, when a stop is requested, and at once when it was.
        """
        try:
            self._waiting = True
            if self.requested:
                raise Interrupted
            return wait()
        finally:
            self._waiting = False

    def sleep(self, seconds: float) -> None:
        """Sleep; raises Interrupted as `interruptible` does."""
        self.interruptible(lambda: time.sleep(seconds))

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.request()


class ThreadStop(Stop):
    """A stop for work in a thread of its own, requested by another thread. `interrupt` is called to end the thread's
    wait."""

    def __init__(self) -> None:
        super().__init__()
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.interrupt: Callable[[], None] = lambda: None

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def request(self) -> None:
        # Under the lock, so that nothing is interrupted but the wait.
        with self._lock:
            self._event.set()
            if self._waiting:
                self.interrupt()

    def interruptible(self, wait: Callable[[], T]) -> T:
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
