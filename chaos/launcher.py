"""The processes of a chaos run: the one of the run, with temporary folders, those of its workers, and the server.

The server starts as `make run` starts it, or from the program of another installation with that configuration. Where
workers can be forked, the next one works within a hundredth of a second after a kill.
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
# The time within which a process has to end after SIGTERM, as bridges promise, in seconds.
STOP_PATIENCE = 30.0


@dataclass
class StopCounts:
    """How workers that were asked to stop did so: how often, how long the slowest took (seconds), and how many did not
    end well."""

    count: int = 0
    slowest: float = 0.0
    bad: int = 0


def context_of(start: Start) -> ForkContext | SpawnContext:
    """Return the multiprocessing context of a start method."""
    return multiprocessing.get_context("fork") if start == "fork" else multiprocessing.get_context("spawn")


@dataclass
class ProcessPool:
    """`size` processes that run `work(number)`. `step` starts ended ones again."""

    work: Callable[[int], None]
    size: int
    start_method: Start = USUAL_START
    stops: StopCounts = field(default_factory=StopCounts)
    # The number of processes that ended by themselves, which workers never should.
    crashed: int = 0
    _running: dict[int, Process] = field(default_factory=dict)
    _asked: dict[int, float] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    def start(self) -> None:
        """Start all of them."""
        for number in range(self.size):
            self._begin(number)

    def step(self) -> None:
        """Start ended processes again."""
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
            # A process may get SIGTERM before it handles signals; it has begun no work then.
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


# The beginning of a line of progress; every other line on standard error is an error.
MARK = "chaos: "
TELL_EVERY = 5.0


class Progress:
    """Reports progress, at most once in five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at = clock()

    def tell(self, line: str) -> None:
        """Report a message at once."""
        self._told_at = self._clock()
        print(f"{MARK}{line}", file=sys.stderr, flush=True)

    def tell_when_due(self, line: Callable[[], str]) -> None:
        """Report a message when five seconds have passed since the last one."""
        if self._clock() >= self._told_at + TELL_EVERY:
            self.tell(line())


@dataclass(frozen=True)
class ChaosServer:
    """A server in a folder of its own, on a port that was free. `program`: its path, "" for the embedded one."""

    folder: Path
    program: str = ""

    def prepare(self) -> None:
        """Choose a free port, not the usual one, on which another server may be expected."""
        self.folder.mkdir(mode=0o700, parents=True)
        write_endpoint(self.folder, Endpoint(port=ports.any_free(LOOPBACK), password=secrets.token_urlsafe(32)))

    def start(self) -> None:
        """Start the server on the data of its last run; do nothing when it runs.

        Raises:
            EmbeddedRedisError: when it cannot run.
        """
        self._embedded().ensure_running()

    def stop(self) -> None:
        """Stop the server."""
        self._embedded().stop()

    def kill(self) -> bool:
        """Kill the server as kill -9 does. Return False when none ran."""
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
    """The run ended without a verdict; the message says why."""


def run_apart(plan: Plan, say: Callable[[str], object] = str) -> dict[str, Any]:
    """Run the plan in its own process and return its outcome as plain values. No process of the run survives this call.

    `say` gets a line of progress every few seconds.

    Raises:
        RunFailed: when the run ended without a verdict.
    """
    with tempfile.TemporaryDirectory(prefix="synapse-chaos-") as folder:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "chaos", plan.packed()],
            cwd=ROOT,
            env=_environment(folder),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own: all that it forks can be ended with it.
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - pipes, as asked for
        complaints: list[str] = []
        listening = threading.Thread(target=_listen, args=(process.stderr, say, complaints), daemon=True)
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


def _listen(lines: IO[str], say: Callable[[str], object], complaints: list[str]) -> None:
    """Pass on the progress that a run reports, and keep its other output."""
    for line in lines:
        if not line.startswith(MARK):
            complaints.append(line)
            continue
        with contextlib.suppress(OSError):  # a terminal that is gone
            say(line.rstrip())


def _environment(folder: str) -> dict[str, str]:
    """Return the variables of this process without any setting of Synapse, but the folder.

    Empty rather than missing: a missing one would be read from `.env`, and no run may touch the Redis named there.
    """
    ours = {name: "" for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    own = {"SYNAPSE_VAR": folder, "SYNAPSE_LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "synapse_project.settings"}
    return {**os.environ, **ours, **own, "SYNAPSE_AUTH": "open"}
