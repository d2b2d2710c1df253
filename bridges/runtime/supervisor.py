"""A supervisor of many bridges in one process, each in its own thread: it starts and stops them, and reports their
status.

An unchanged status is not reported every second. Instead, the process reports once a second that it is alive.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import connections as databases

from bridges.runtime.worker_factory import open_worker
from streams import connections
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery import membership
from synapse.delivery.group_upkeep import Say
from synapse.delivery.shutdown import ThreadStop
from synapse.delivery.status import FRESH_MS, Status, pack
from synapse.delivery.worker import Worker
from synapse.http.redis_problems import FAILURES
from synapse.redis import RedisUnavailable, SyncExecutor
from synapse.redis.commands import participants

logger = logging.getLogger(__name__)

# The milliseconds that a thread waits for events; longer when none came for a while.
BLOCK_MS = 1000


class Run(Protocol):
    """The interface between a supervisor and a running bridge."""

    bridge: BridgeDefinition
    consumer: str

    @property
    def is_alive(self) -> bool:
        """Say whether the bridge is still running."""

    def request_stop(self) -> None:
        """Ask the bridge to finish the events in flight and stop."""

    def status(self) -> Status:
        """Return the bridge's status; the last one when it has ended."""


class ThreadRun:
    """A bridge that runs in a thread until it is stopped, its sink is finished, or an error ends it.

    With `drain`, it also ends when no event is left. `say` is called with lines for people.
    """

    def __init__(self, bridge: BridgeDefinition, *, say: Say, drain: bool = False) -> None:
        self.bridge = bridge
        self.consumer = membership.new_consumer_name()
        self._say = say
        self._drain = drain
        self._stop = ThreadStop()
        self._worker: Worker | None = None
        self._began = time.time()
        self._failure = ""
        self._thread = threading.Thread(target=self._run_thread, name=f"bridge {bridge.name}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Say whether the bridge is still running."""
        return self._thread.is_alive()

    def request_stop(self) -> None:
        """Ask the bridge to finish the events in flight and stop."""
        self._stop.request()

    def status(self) -> Status:
        """Return the bridge's status; the last one when it has ended."""
        worker, failure = self._worker, self._failure
        status = worker.progress.status() if worker else Status(state="starting", since=self._began)
        if not failure:
            return status
        known: dict[str, Any] = {name: getattr(status, name) for name in Status.__dataclass_fields__}
        return Status(**{**known, "state": "failed", "since": self._began, "reason": failure})

    def _run_thread(self) -> None:
        try:
            self._run_worker()
        except FAILURES as failure:
            self._record_failure(failure.detail)
        except Exception as error:
            # An error in Synapse or in a sink: this bridge reports it and is started again later; the others continue.
            logger.exception("The bridge %s stopped working", self.bridge.name)
            self._record_failure(f"{type(error).__name__}: {error}")
        finally:
            databases.close_all()

    def _run_worker(self) -> None:
        worker = open_worker(
            self.bridge,
            say=self._say,
            stop=self._stop,
            consumer=self.consumer,
            drain=self._drain,
            block_ms=BLOCK_MS,
        )
        self._worker = worker
        self._stop.interrupt = worker.interrupt
        try:
            worker.run()
        finally:
            worker.leave(connections.executor())
        if worker.trouble or (worker.finished and not self._drain):
            self._record_failure(worker.trouble or "The sink takes no more.")

    def _record_failure(self, why: str) -> None:
        self._began = time.time()
        self._failure = why
        self._say(why)


Start = Callable[[BridgeDefinition], Run]


# The seconds after which a failed bridge is started again, because the cause may have been fixed elsewhere.
TRY_AGAIN = 15.0
REPORT_EVERY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The status of a bridge in one consumer. None withdraws the reports of a consumer that has ended."""

    bridge: BridgeDefinition
    consumer: str
    status: Status | None


class Supervisor:
    """Runs the bridges that `wanted` returns by name, and follows its changes.

    `start` starts a bridge. `report` is called every second with the status of each; bridges do not wait for it. With
    `once`, a bridge that has ended is not started again.
    """

    def __init__(
        self,
        wanted: Callable[[], Mapping[str, BridgeDefinition]],
        *,
        start: Start,
        report: Callable[[Sequence[Report]], None],
        once: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._start = start
        self._report = report
        self._once = once
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._over: dict[str, float] = {}
        # The names of bridges that were asked to stop, so that their end is no failure.
        self._asked: set[str] = set()
        self._due = float("-inf")
        self._began = False

    @property
    def is_over(self) -> bool:
        """Whether no bridge runs and none will start any more."""
        return self._once and self._began and not any(run.is_alive for run in self._runs.values())

    def step(self) -> bool:
        """Stop bridges that were removed or changed and start those that are missing. Return whether anything changed.

        Raises:
            Exception: the errors of `wanted`; the bridges continue.
        """
        wanted = self._wanted()
        self._began = True
        changed = [self._look_after(name, run, wanted.get(name)) for name, run in list(self._runs.items())]
        changed += [self._start_run(bridge) for name, bridge in wanted.items() if name not in self._runs]
        if self._clock() >= self._due or any(changed):
            self._due = self._clock() + REPORT_EVERY
            runs = self._runs.values()
            self._report([Report(bridge=run.bridge, consumer=run.consumer, status=run.status()) for run in runs])
        return any(changed)

    def stop(self, patience: float, wait: Callable[[float], None] = time.sleep) -> bool:
        """Ask all bridges to finish, and wait up to `patience` seconds. Return whether all have ended."""
        for run in self._runs.values():
            run.request_stop()
        deadline = self._clock() + patience
        while any(run.is_alive for run in self._runs.values()) and self._clock() < deadline:
            wait(0.02)
        self._report([Report(bridge=run.bridge, consumer=run.consumer, status=None) for run in self._runs.values()])
        return not any(run.is_alive for run in self._runs.values())

    def totals(self) -> list[tuple[BridgeDefinition, Status]]:
        """Return each bridge with its status, which is its last one if it has ended."""
        return [(run.bridge, run.status()) for run in self._runs.values()]

    def _start_run(self, bridge: BridgeDefinition) -> bool:
        self._runs[bridge.name] = self._start(bridge)
        return True

    def _look_after(self, name: str, run: Run, wanted: BridgeDefinition | None) -> bool:
        """Stop, restart or remove one run, as its definition demands. Return whether a run was removed or restarted."""
        if run.is_alive:
            # Compared by identity first, because comparing a thousand definitions field by field takes a while.
            if wanted is not run.bridge and wanted != run.bridge:
                run.request_stop()
                self._asked.add(name)
            return False
        due = self._over.setdefault(name, self._clock() + TRY_AGAIN)
        if wanted == run.bridge and name not in self._asked and (self._once or self._clock() < due):
            return False
        self._over.pop(name, None)
        self._asked.discard(name)
        self._report([Report(bridge=run.bridge, consumer=run.consumer, status=None)])
        del self._runs[name]
        return True if wanted is None else self._start_run(wanted)


KEEP_MS = 60_000
# The seconds after which an unchanged report is repeated, before it expires in Redis.
REPEAT_EVERY = 30.0


def make_reporter(
    executor: Callable[[], SyncExecutor], clock: Callable[[], float] = time.monotonic
) -> Callable[[Sequence[Report]], None]:
    """Return a function that writes reports to Redis. Reports that could not be written are sent again within a second.

    `clock` returns seconds.
    """
    told: dict[tuple[str, str, str], tuple[Status, float]] = {}

    def write_reports(found: Sequence[Report]) -> None:
        now = clock()
        asked = [participants.store_heartbeat(membership.process_name(), keep_ms=FRESH_MS)]
        for one in found:
            place = (one.bridge.stream, one.bridge.group, one.consumer)
            last = told.pop(place, None)
            if one.status is None:
                asked.append(participants.delete_report(*place))
            elif last and last[0] == one.status and now - last[1] < REPEAT_EVERY:
                told[place] = last
            else:
                asked.append(participants.report(*place, pack(one.status), keep_ms=KEEP_MS))
                told[place] = (one.status, now)
        try:
            executor().execute(asked)
        except RedisUnavailable:
            told.clear()

    return write_reports
