"""The server that a run kills: as `make run` would start it, or another engine's program with that configuration."""

import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

from synapse.redis.embedded import EmbeddedRedis, configuration, process
from synapse.redis.embedded.endpoint import LOOPBACK, Endpoint, record
from synapse.runtime import ports


@dataclass(frozen=True)
class ChaosServer:
    """A server in a folder of its own, on a port that was free. `program`: its path, "" for the embedded one."""

    folder: Path
    program: str = ""

    def prepare(self) -> None:
        """Choose the port: not the usual one, which somebody may expect there."""
        self.folder.mkdir(mode=0o700, parents=True)
        record(self.folder, Endpoint(port=ports.any_free(LOOPBACK), password=secrets.token_urlsafe(32)))

    def start(self) -> None:
        """Start it, on the data that it left; nothing happens when it runs.

        Raises:
            EmbeddedRedisError: when it cannot run.
        """
        self._embedded().ensure_running()

    def stop(self) -> None:
        """End it."""
        self._embedded().stop()

    def kill(self) -> bool:
        """End it as kill -9 does. Return False when none ran."""
        pid = process.verified_pid(
            self.folder / configuration.PID, started_with=self.folder / configuration.CONFIGURATION
        )
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _embedded(self) -> EmbeddedRedis:
        return EmbeddedRedis(self.folder, program=Path(self.program) if self.program else None)
