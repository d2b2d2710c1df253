"""Synapse's web server with a heartbeat on its event loop."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.heartbeat.server import Gaps
from benchmarks.running.program import LOOPBACK, Program, free_port, running
from benchmarks.running.synapse import ROOT


@contextmanager
def serving(name: str, folder: Path, variables: Mapping[str, str]) -> Iterator[tuple[Program, Gaps]]:
    """Run the server during the block. Yield it, with the longest gaps between two beats."""
    gaps, port = Gaps.made(folder / "gaps"), free_port()
    command = [sys.executable, "-m", "benchmarks.heartbeat.server", str(folder / "gaps")]
    own = {**variables, "HOST": LOOPBACK, "PORT": str(port), "PYTHONPATH": str(ROOT)}
    with running(name, command, port=port, folder=folder, environment=own) as program:
        yield program, gaps
