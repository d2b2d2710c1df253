"""The processes of a run. Where they can be forked, the next one works within a hundredth of a second after a kill."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkContext, ForkProcess, SpawnContext, SpawnProcess

import django

from chaos.plan import USUAL_START, Start

Process = ForkProcess | SpawnProcess
# What a process may take to end that was told to, as bridges promise.
STOP_PATIENCE = 30.0


@dataclass
class StopCounts:
    """How workers that were asked to stop did so: how often, how long the slowest took (seconds), and how many did not
    end well."""

    count: int = 0
    slowest: float = 0.0
    bad: int = 0


def context_of(start: Start) -> ForkContext | SpawnContext:
    """Return what starts processes in this way."""
    return multiprocessing.get_context("fork") if start == "fork" else multiprocessing.get_context("spawn")


@dataclass
class ProcessPool:
    """So many processes that do `work(number)`. Those that end are started again by `step`."""

    work: Callable[[int], None]
    size: int
    start_method: Start = USUAL_START
    stops: StopCounts = field(default_factory=StopCounts)
    # Those that ended by themselves, which workers never should.
    crashed: int = 0
    _running: dict[int, Process] = field(default_factory=dict)
    _asked: dict[int, float] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    def start(self) -> None:
        """Start all of them."""
        for number in range(self.size):
            self._begin(number)

    def step(self) -> None:
        """Start those again that have ended."""
        for number, process in list(self._running.items()):
            if not process.is_alive():
                self._bury(number, process)
                self._begin(number)

    def kill(self, number: int) -> None:
        """End one as kill -9 does."""
        self._killed.add(number)
        self._asked.pop(number, None)
        self._running[number].kill()

    def stop(self, number: int) -> bool:
        """Ask one to stop, as a person does. Return False when that was done already."""
        if number in self._asked:
            return False
        self._asked[number] = time.monotonic()
        self._running[number].terminate()
        return True

    def signal(self, number: int, which: signal.Signals) -> int:
        """Send a signal to one. Return its process number."""
        pid = self._running[number].pid
        assert pid is not None  # noqa: S101 - it was started
        os.kill(pid, which)
        return pid

    def wait(self) -> None:
        """Wait until all have ended by themselves."""
        for process in self._running.values():
            process.join()

    def stop_all(self) -> None:
        """Ask all to stop, and wait for it. Those that do not are killed."""
        for number in self._running:
            self.stop(number)
        for number, process in self._running.items():
            process.join(max(0.0, self._asked[number] + STOP_PATIENCE - time.monotonic()))
            self._bury(number, process)
        self._running.clear()

    def kill_all(self) -> None:
        """End all at once."""
        for process in self._running.values():
            process.kill()
            process.join()
        self._running.clear()

    @property
    def is_over(self) -> bool:
        """Say whether all have ended."""
        return not any(process.is_alive() for process in self._running.values())

    def _begin(self, number: int) -> None:
        process = context_of(self.start_method).Process(
            target=_run_in_child, args=(_SetUp(), self.work, number), daemon=True
        )
        process.start()
        self._running[number] = process

    def _bury(self, number: int, process: Process) -> None:
        stopped = not process.is_alive()
        if not stopped:
            process.kill()
        process.join()
        asked = self._asked.pop(number, None)
        if asked is not None:
            self.stops.count += 1
            self.stops.slowest = max(self.stops.slowest, time.monotonic() - asked)
            # It may be stopped so early that it does not listen to signals yet; then it has begun nothing either.
            self.stops.bad += not stopped or process.exitcode not in (0, -signal.SIGTERM)
        elif number not in self._killed:
            self.crashed += 1
        self._killed.discard(number)


class _SetUp:
    """Sets Django up in a process that is spawned, where arguments are unpickled in turn: the next needs models."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return django.setup, ()


def _run_in_child(_: object, work: Callable[[int], None], number: int) -> None:
    from streams import connections  # noqa: PLC0415 - needs models, which a spawned process can import only now

    # Connections that were open before the fork are the parent's.
    connections.executor.cache_clear()
    work(number)
