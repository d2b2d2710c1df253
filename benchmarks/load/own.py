"""Load from Python programs, each in its own process, such as `asyncio_client.py` for machines without wrk."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.values import Request, Result

_ROOT = Path(__file__).resolve().parent.parent.parent
_PATIENCE = 30


def send(request: Request, connections: int, seconds: int) -> Result:
    """Send the request over and over for some seconds and return the results."""
    order = {**asdict(request), "body": request.body.decode(), "connections": connections, "seconds": seconds}
    return Result(**run_program("asyncio_client", order, patience=_PATIENCE))


def run_program(name: str, order: Mapping[str, Any], *, patience: int) -> dict[str, Any]:
    """Run a program of this folder, which reads its order as JSON, and return its output as JSON.

    Args:
        name: the name of the module.
        order: the order, which includes the number of `seconds` to run.
        patience: the seconds that it may take beyond that.
    """
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.load.{name}"],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        cwd=_ROOT,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=order["seconds"] + patience,
        check=True,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found
