"""Start a chaos run in a process of its own with temporary folders, and the server that the run kills.

The server starts as `make run` starts it, or from the program of another installation with that configuration.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chaos.plan import Plan
from synapse.redis.embedded import EmbeddedRedis, endpoint, process
from synapse.redis.embedded.endpoint import LOOPBACK, Endpoint, record
from synapse.runtime import ports
from synapse_project.environment import SETTINGS

# How such a line begins: what else is on standard error are complaints.
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
        record(self.folder, Endpoint(port=ports.any_free(LOOPBACK), password=secrets.token_urlsafe(32)))

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
        pid = process.verified_pid(self.folder / endpoint.PID, started_with=self.folder / endpoint.CONFIGURATION)
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

    `say` is told how far it is, a line every few seconds.

    Raises:
        RunFailed: when it came to no verdict.
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

    Empty rather than missing: what is missing would be read from `.env`, and no run may touch the Redis named there.
    """
    ours = {name: "" for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    own = {"SYNAPSE_VAR": folder, "SYNAPSE_LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "synapse_project.settings"}
    return {**os.environ, **ours, **own, "SYNAPSE_AUTH": "open"}
