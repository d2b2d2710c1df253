"""A chaos run from start to verdict, and its faults. The settings of its process refer only to the run's own folder."""

import math
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections as databases

from chaos import verdict, workload
from chaos.launcher import ChaosServer, ProcessPool, Progress, StopCounts
from chaos.ledger import Ledger
from chaos.plan import STREAM, Plan
from chaos.verdict import Verdict
from streams import connections
from streams.models import Stream
from streams.snapshot import holder
from synapse.redis.commands import server as server_commands

# The longest time in seconds before a killed server is restarted.
LONGEST_AWAY = 0.5
# A worker is frozen for this many times its lease.
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
        for every, deed in self._planned_faults():
            self._repeat(every, deed)

    def step(self) -> None:
        """Inject the faults that are due."""
        now = time.monotonic()
        due = [entry for entry in self._due if entry[0] <= now]
        self._due = [entry for entry in self._due if entry[0] > now]
        for _, deed in due:
            deed()

    def heal(self) -> None:
        """Undo all faults, and stop injecting."""
        self._due.clear()
        for number in list(self._frozen):
            self._thaw(number)
        self.server.start()

    def _planned_faults(self) -> Iterator[tuple[float, Callable[[], object]]]:
        plan = self.plan
        yield plan.kill_worker, self._kill_worker
        yield plan.stop_worker, lambda: self.workers.stop(self._any_worker())
        yield plan.freeze_worker, self._freeze_worker
        yield plan.kill_server, self._kill_server

    def _repeat(self, every: float, deed: Callable[[], object]) -> None:
        if every:

            def repeated() -> None:
                deed()
                self._repeat(every, deed)

            self._schedule(every * self._random.uniform(0.5, 1.5), repeated)

    def _schedule(self, seconds: float, deed: Callable[[], object]) -> None:
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
            self._schedule(self.plan.lease * PAST_THE_LEASE, lambda: self._thaw(number))

    def _thaw(self, number: int) -> None:
        pid = self._frozen.pop(number, None)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _kill_server(self) -> None:
        if self.server.kill():
            self.deeds.servers_killed += 1
        self._schedule(self._random.uniform(0, LONGEST_AWAY), self.server.start)


_LOOK_EVERY = 0.02
# The interval in seconds for checking the workers' progress after publishing.
_ASK_EVERY = 0.05


class StateUnreadable(Exception):
    """The state of the events cannot be read. The message names the possible causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run's outcome. `took`: seconds of publishing and injecting faults; `drained`: seconds until all events were
    acknowledged.
    """

    engine: str
    took: float
    drained: float
    crashed: int
    deeds: FaultCounts = field(default_factory=FaultCounts)
    stops: StopCounts = field(default_factory=StopCounts)
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return asdict(self)


def prepare(server: ChaosServer) -> None:
    """Create a database with one stream, start the server, and close all connections, because processes may be
    forked.
    """
    call_command("migrate", verbosity=0)
    Stream.objects.create(name=STREAM)
    holder.current()
    databases.close_all()
    server.prepare()
    server.start()


def run(plan: Plan, folder: Path, server: ChaosServer) -> Outcome:
    """Carry out the plan, undo all faults, wait until all events are acknowledged, and return the outcome with the
    verdict.

    Raises:
        EmbeddedRedisError: when the server cannot run.
        StateUnreadable: when no worker creates its group, or Redis does not answer.
    """
    prepare(server)
    ledger, phases = Ledger(folder), workload.Phases(plan.publishers, plan.start)
    publishers = ProcessPool(
        partial(workload.run_publisher, plan, ledger=ledger, phases=phases), plan.publishers, plan.start
    )
    workers = ProcessPool(partial(workload.run_worker, plan, ledger=ledger), plan.workers, plan.start)
    killer, progress = Killer(plan, workers, server), Progress()
    try:
        began = time.monotonic()
        progress.report(f"publishing for {plan.seconds:g} s to {plan.workers} workers, in the order “{plan.order}”")
        workers.start()
        publishers.start()
        while not phases.are_all_published():
            killer.step()
            workers.step()
            # When the time is over, publishers may still be waiting for a killed server.
            if time.monotonic() > began + plan.seconds:
                killer.heal()
            progress.report_when_due(lambda: _describe_publishing(plan, killer.deeds, time.monotonic() - began))
            time.sleep(_LOOK_EVERY)
        killer.heal()
        healed = time.monotonic()
        progress.report("publishing and killing have ended; waiting until the workers have acknowledged every event")
        _drain_events(plan, workers, progress, trickling=True)
        phases.over.set()
        publishers.wait()
        found = _drain_events(plan, workers, progress)
        drained = time.monotonic()
        progress.report("all is acknowledged; counting")
        workers.stop_all()
    finally:
        publishers.kill_all()
        workers.kill_all()
    left = verdict.read_final_state(connections.executor(), found)
    return Outcome(
        engine=_engine_name(),
        took=healed - began,
        drained=drained - healed,
        crashed=workers.crashed,
        deeds=killer.deeds,
        stops=workers.stops,
        verdict=verdict.judge(plan, ledger.acknowledged(), ledger.handled(), left),
    )


def _describe_publishing(plan: Plan, deeds: FaultCounts, seconds: float) -> str:
    killed = f"{deeds.workers_killed:,} workers and {deeds.servers_killed:,} servers killed"
    return f"publishing, {seconds:.0f} of {plan.seconds:g} s; {killed}"


def _drain_events(
    plan: Plan, workers: ProcessPool, progress: Progress, *, trickling: bool = False
) -> verdict.EventCounts:
    """Wait until all events are acknowledged, or until there is no progress for `plan.patience` seconds, which the
    verdict reports.

    `trickling`: a few events are still published, so the number of acknowledged ones does not count as progress.
    """
    least, since = math.inf, time.monotonic()
    begun = since
    while True:
        workers.step()
        found, late = verdict.count_events(connections.executor()), time.monotonic() - since > plan.patience
        if found is None:
            if late:
                raise StateUnreadable("Redis does not answer, or no worker made its group.")
        else:
            left = found.pending + found.waiting + found.parked - found.dead - (0 if trickling else found.done)
            if found.is_settled or late:
                return found
            if left < least:
                least, since = left, time.monotonic()
        progress.report_when_due(partial(_describe_rest, found, time.monotonic() - begun))
        time.sleep(_ASK_EVERY)


def _describe_rest(found: verdict.EventCounts | None, seconds: float) -> str:
    if found is None:
        return f"waiting for {seconds:.0f} s; Redis does not answer, or no worker made its group yet"
    parts = {"pending": found.pending, "waiting to be tried again": found.waiting, "behind their key": found.parked}
    counts = [*(["some unread"] if found.unread else []), *(f"{count:,} {name}" for name, count in parts.items())]
    return f"waiting for {seconds:.0f} s; {found.done:,} done, {found.dead:,} dead, {', '.join(counts)}"


def _engine_name() -> str:
    (info,) = connections.executor().execute([server_commands.info()])
    name = info.get("server_name", "redis")
    return f"{name} {info.get(f'{name}_version', info['redis_version'])}"
