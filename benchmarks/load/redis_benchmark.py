"""redis-benchmark, or Valkey's version of it: pipelined commands from a C program, at the server's highest rate."""

import csv
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load.values import Result
from benchmarks.values import NotMeasured
from synapse.redis.embedded.endpoint import Endpoint

_CALIBRATION = 50_000
_PATIENCE = 60


def binary() -> str:
    """Return the path of the program.

    Raises:
        NotMeasured: when neither is installed.
    """
    found = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if found is None:
        raise NotMeasured("redis-benchmark is not installed (Debian package redis-tools)")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelinedAdd:
    """XADD of one entry, over and over, on 50 connections with `pipeline` commands in flight on each."""

    program: str
    redis: Endpoint
    stream: str
    fields: Sequence[bytes]
    pipeline: int

    def send(self, seconds: int) -> Result:
        """Run for about that many seconds. The program takes a number of commands, which a short run determines."""
        rate = self._run(_CALIBRATION)["rps"]
        count = max(int(rate * seconds), _CALIBRATION)
        found = self._run(count)
        return Result(
            requests=count,
            seconds=count / found["rps"],
            errors=0,
            p50_ms=found["p50_latency_ms"],
            p99_ms=found["p99_latency_ms"],
        )

    def _run(self, count: int) -> dict[str, float]:
        # The password belongs to this run only; the program accepts it only on its command line.
        command = ["XADD", self.stream, "*", *(part.decode() for part in self.fields)]
        server = ["-h", self.redis.host, "-p", str(self.redis.port), "-a", self.redis.password]
        result = subprocess.run(
            [self.program, *server, "-c", "50", "-P", str(self.pipeline), "-n", str(count), "--csv", *command],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
        lines = [line for line in result.stdout.splitlines() if line.startswith('"')]
        row = next(csv.DictReader(lines))
        return {name: float(text) for name, text in row.items() if name != "test"}
