"""The processes of a chaos run: the run itself, with a temporary folder, its publishers and workers, and the server.

The server starts as with `make run`, or from the program of another engine with the same configuration. Where processes
can be forked, a killed worker is replaced within a hundredth of a second.
"""

import contextlib
import json
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkContext, ForkProcess, SpawnContext, SpawnProcess
from pathlib import Path
from typing import IO, Any

import django

from chaos.plan import USUAL_START, Plan, Start
from synapse.redis.embedded import EmbeddedRedis, endpoint
from synapse.redis.embedded.endpoint import LOOPBACK, Endpoint, write_endpoint
from synapse.redis.embedded.process import find_server_pid
from synapse.runtime import ports
from synapse_project.environment import SETTINGS

Process = ForkProcess | SpawnProcess
# Seconds within which a process must end after SIGTERM, as bridges promise.
STOP_PATIENCE = 30.0


@dataclass
class StopCounts:
    """Statistics of requested stops: their number, the seconds of the slowest, and the number of those that went
    wrong.
    """

    count: int = 0
    slowest: float = 0.0
    bad: int = 0


def context_of(start: Start) -> ForkContext | SpawnContext:
    """Return the multiprocessing context of a start method."""
    return multiprocessing.get_context("fork") if start == "fork" else multiprocessing.get_context("spawn")


@dataclass
class ProcessPool:
    """A pool of `size` processes that run `work(number)`. `step` restarts those that ended."""

    work: Callable[[int], None]
    size: int
    start_method: Start = USUAL_START
    stops: StopCounts = field(default_factory=StopCounts)
    # The number of processes that ended by themselves, which workers should never do.
    crashed: int = 0
    _running: dict[int, Process] = field(default_factory=dict)
    _asked: dict[int, float] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    def start(self) -> None:
        """Start all processes."""
        for number in range(self.size):
            self._start_process(number)

    def step(self) -> None:
        """Restart ended processes."""
        for number, process in list(self._running.items()):
            if not process.is_alive():
                self._collect(number, process)
                self._start_process(number)

    def kill(self, number: int) -> None:
        """Kill a process with SIGKILL."""
        self._killed.add(number)
        self._asked.pop(number, None)
        self._running[number].kill()

    def stop(self, number: int) -> bool:
        """Ask a process to stop, with SIGTERM. Return False if it was asked already."""
        if number in self._asked:
            return False
        self._asked[number] = time.monotonic()
        self._running[number].terminate()
        return True

    def signal(self, number: int, which: signal.Signals) -> int:
        """Send a signal to a process. Return its process id."""
        pid = self._running[number].pid
        assert pid is not None  # noqa: S101 - the process was started
        os.kill(pid, which)
        return pid

    def wait(self) -> None:
        """Wait until all processes have ended by themselves."""
        for process in self._running.values():
            process.join()

    def stop_all(self) -> None:
        """Ask all processes to stop, and wait. Kill those that do not stop in time."""
        for number in self._running:
            self.stop(number)
        for number, process in self._running.items():
            process.join(max(0.0, self._asked[number] + STOP_PATIENCE - time.monotonic()))
            self._collect(number, process)
        self._running.clear()

    def kill_all(self) -> None:
        """Kill all processes."""
        for process in self._running.values():
            process.kill()
            process.join()
        self._running.clear()

    @property
    def is_over(self) -> bool:
        """Say whether all processes have ended."""
        return not any(process.is_alive() for process in self._running.values())

    def _start_process(self, number: int) -> None:
        process = context_of(self.start_method).Process(
            target=_run_in_child, args=(_SetUp(), self.work, number), daemon=True
        )
        process.start()
        self._running[number] = process

    def _collect(self, number: int, process: Process) -> None:
        stopped = not process.is_alive()
        if not stopped:
            process.kill()
        process.join()
        asked = self._asked.pop(number, None)
        if asked is not None:
            self.stops.count += 1
            self.stops.slowest = max(self.stops.slowest, time.monotonic() - asked)
            # A process may get SIGTERM before it handles signals. It has not begun to work then.
            self.stops.bad += not stopped or process.exitcode not in (0, -signal.SIGTERM)
        elif number not in self._killed:
            self.crashed += 1
        self._killed.discard(number)


class _SetUp:
    """Sets up Django when it is unpickled in a spawned process. It must be the first argument, because the next needs
    models.
    """

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return django.setup, ()


def _run_in_child(_: object, work: Callable[[int], None], number: int) -> None:
    from streams import connections  # noqa: PLC0415 - needs models, and so Django's set-up

    # Connections opened before the fork belong to the parent.
    connections.executor.cache_clear()
    work(number)


# The prefix of progress lines. Every other line on standard error is an error message.
MARK = "chaos: "
TELL_EVERY = 5.0


class Progress:
    """Prints lines of progress to standard error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = clock()

    def report(self, line: str) -> None:
        """Print a line."""
        self._told_at = self._clock()
        print(f"{MARK}{line}", file=sys.stderr, flush=True)

    def report_when_due(self, line: Callable[[], str]) -> None:
        """Print a line if `TELL_EVERY` seconds have passed since the last one."""
        if self._clock() >= self._told_at + TELL_EVERY:
            self.report(line())


@dataclass(frozen=True)
class ChaosServer:
    """A server in a folder of its own, on a free port. `program` is the path of its program, "" for the embedded
    one.
    """

    folder: Path
    program: str = ""

    def prepare(self) -> None:
        """Choose a free port. The default port might be the one on which others expect their server."""
        self.folder.mkdir(mode=0o700, parents=True)
        write_endpoint(self.folder, Endpoint(port=ports.any_free(LOOPBACK), password=secrets.token_urlsafe(32)))

    def start(self) -> None:
        """Start the server with the data of its last run. Do nothing if it is running.

        Raises:
            EmbeddedRedisError: when the server cannot run.
        """
        self._embedded().ensure_running()

    def stop(self) -> None:
        """Stop the server."""
        self._embedded().stop()

    def kill(self) -> bool:
        """Kill the server with SIGKILL. Return False if it was not running."""
        pid = find_server_pid(self.folder / endpoint.PID, started_with=self.folder / endpoint.CONFIGURATION)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _embedded(self) -> EmbeddedRedis:
        return EmbeddedRedis(self.folder, program=Path(self.program) if self.program else None)


ROOT = Path(__file__).parents[1]


class RunFailed(Exception):
    """The run ended without a verdict. The message says why."""


def run_apart(plan: Plan, say: Callable[[str], object] = str) -> dict[str, Any]:
    """Run the plan in its own process and return its outcome as JSON values. No process of the run survives this call.

    `say` gets a line of progress every few seconds.

    Raises:
        RunFailed: when the run ended without a verdict.
    """
    with tempfile.TemporaryDirectory(prefix="synapse-chaos-") as folder:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "chaos", plan.to_text()],
            cwd=ROOT,
            env=_environment(folder),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A process group of its own, so that all its children can be killed with it.
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
        complaints: list[str] = []
        listening = threading.Thread(target=_relay_output, args=(process.stderr, say, complaints), daemon=True)
        listening.start()
        try:
            said = process.stdout.read()
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            listening.join()
            process.stdout.close()
            process.stderr.close()
            EmbeddedRedis(Path(folder) / "redis").stop()
        if process.returncode != 0:
            raise RunFailed("".join(complaints).strip() or f"The run ended with status {process.returncode}.")
        outcome: dict[str, Any] = json.loads(said)
        return outcome


def _relay_output(lines: IO[str], say: Callable[[str], object], complaints: list[str]) -> None:
    """Pass the run's progress lines to `say`, and collect other lines in `complaints`."""
    for line in lines:
        if not line.startswith(MARK):
            complaints.append(line)
            continue
        with contextlib.suppress(OSError):  # the terminal was closed
            say(line.rstrip())


def _environment(folder: str) -> dict[str, str]:
    """Return this process's environment with all settings of Synapse emptied, except for the data folder.

    Missing settings would be read from `.env`, and a run must not touch the Redis configured there.
    """
    ours = {name: "" for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    own = {"SYNAPSE_VAR": folder, "SYNAPSE_LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "synapse_project.settings"}
    return {**os.environ, **ours, **own, "SYNAPSE_AUTH": "open"}
