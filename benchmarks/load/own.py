"""Load from `asyncio_client.py`, in a process of its own, for machines without wrk."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.load.values import Request, Result

_ROOT = Path(__file__).resolve().parent.parent.parent
_PATIENCE = 30


def send(request: Request, connections: int, seconds: int) -> Result:
    """Send the request over and over for some seconds and return what came of it."""
    order = {
        "url": request.url,
        "method": request.method,
        "body": request.body.decode(),
        "kind": request.kind,
        "key": request.key,
        "connections": connections,
        "seconds": seconds,
    }
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.load.asyncio_client"],
        cwd=_ROOT,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=seconds + _PATIENCE,
        check=True,
    )
    return Result(**json.loads(result.stdout))
