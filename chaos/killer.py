"""Faults that are injected during a run: the seed draws their times, the clock decides which events they hit."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.launcher import ChaosServer
from chaos.plan import Plan
from chaos.process_pool import ProcessPool

# How long the server stays away at most, in seconds.
LONGEST_AWAY = 0.5
# How far past its lease a worker is frozen.
PAST_THE_LEASE = 1.5


@dataclass
class FaultCounts:
    """Counts of the faults that were injected."""

    workers_killed: int = 0
    workers_frozen: int = 0
    servers_killed: int = 0


@dataclass
class Killer:
    """Injects the faults of the plan, one step at a time."""

    plan: Plan
    workers: ProcessPool
    server: ChaosServer
    deeds: FaultCounts = field(default_factory=FaultCounts)

    def __post_init__(self) -> None:
        self._random = random.Random(self.plan.seed)
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._frozen: dict[int, int] = {}
        for every, deed in self._planned():
            self._again(every, deed)

    def step(self) -> None:
        """Inject the faults that are due."""
        now = time.monotonic()
        due = [entry for entry in self._due if entry[0] <= now]
        self._due = [entry for entry in self._due if entry[0] > now]
        for _, deed in due:
            deed()

    def heal(self) -> None:
        """Undo all faults, and inject no more."""
        self._due.clear()
        for number in list(self._frozen):
            self._thaw(number)
        self.server.start()

    def _planned(self) -> Iterator[tuple[float, Callable[[], object]]]:
        plan = self.plan
        yield plan.kill_worker, self._kill_worker
        yield plan.stop_worker, lambda: self.workers.stop(self._any_worker())
        yield plan.freeze_worker, self._freeze_worker
        yield plan.kill_server, self._kill_server

    def _again(self, every: float, deed: Callable[[], object]) -> None:
        if every:

            def repeated() -> None:
                deed()
                self._again(every, deed)

            self._after(every * self._random.uniform(0.5, 1.5), repeated)

    def _after(self, seconds: float, deed: Callable[[], object]) -> None:
        self._due.append((time.monotonic() + seconds, deed))

    def _any_worker(self) -> int:
        return self._random.randrange(self.plan.workers)

    def _kill_worker(self) -> None:
        number = self._any_worker()
        self._frozen.pop(number, None)
        self.workers.kill(number)
        self.deeds.workers_killed += 1

    def _freeze_worker(self) -> None:
        number = self._any_worker()
        if number not in self._frozen:
            self._frozen[number] = self.workers.signal(number, signal.SIGSTOP)
            self.deeds.workers_frozen += 1
            self._after(self.plan.lease * PAST_THE_LEASE, lambda: self._thaw(number))

    def _thaw(self, number: int) -> None:
        pid = self._frozen.pop(number, None)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _kill_server(self) -> None:
        if self.server.kill():
            self.deeds.servers_killed += 1
        self._after(self._random.uniform(0, LONGEST_AWAY), self.server.start)
