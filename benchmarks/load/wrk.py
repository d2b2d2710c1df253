"""Load from wrk with one thread; `wrk.lua` defines the requests."""

import json
import os
import subprocess
from pathlib import Path

from benchmarks.load.values import Request, Result

_SCRIPT = Path(__file__).with_name("wrk.lua")
# The seconds that a run may take beyond its duration.
_PATIENCE = 30


def version(binary: str) -> str:
    """Return wrk's own name and version."""
    # wrk prints its version with --version, and ends with status 1.
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=False).stdout
    return " ".join(said.split()[:2]) or "wrk"


def send(binary: str, folder: Path, request: Request, connections: int, seconds: int) -> Result:
    """Send the request over and over for some seconds and return the results."""
    body = folder / "wrk-body"
    body.write_bytes(request.body)
    result = subprocess.run(
        [binary, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT), request.url],
        env={
            **os.environ,
            "BENCH_METHOD": request.method,
            "BENCH_BODY": str(body),
            "BENCH_KIND": request.kind,
            "BENCH_KEY": request.key,
            "BENCH_IDEMPOTENCY_KEY": request.idempotency_key,
        },
        capture_output=True,
        text=True,
        timeout=seconds + _PATIENCE,
        check=True,
    )
    return Result(**json.loads(result.stdout.splitlines()[-1]))
