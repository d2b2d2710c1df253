"""The FastAPI peer, under uvicorn with its fast loop and parser, one worker."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.running.program import LOOPBACK, Program, free_port, running
from benchmarks.running.synapse import ROOT
from benchmarks.values import NotMeasured

STREAM = "peer-inference-events"


@contextmanager
def serving(folder: Path, redis_url: str) -> Iterator[Program]:
    """Run the peer.

    Raises:
        NotMeasured: when FastAPI is not installed.
    """
    if find_spec("fastapi") is None:
        raise NotMeasured("FastAPI is not installed (requirements-bench.txt)")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.fastapi_publish:app"]
    command += ["--host", LOOPBACK, "--port", str(port), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning"]
    own = {"PEER_REDIS_URL": redis_url, "PEER_STREAM": STREAM, "PYTHONPATH": str(ROOT)}
    with running("fastapi", command, port=port, folder=folder, environment=own) as program:
        yield program
