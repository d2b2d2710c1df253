"""The memory of a server that has just started."""

import re
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.running.program import Program
from benchmarks.stage import Stage
from benchmarks.values import Measured, NotMeasured, Samples

SETTLED_AFTER = 2.0
MEGABYTE = 1_000_000


def idle(stage: Stage) -> Measured:
    """The resident memory of a new server after its first request."""
    ours = _fresh(stage.another_synapse())
    notes = ["resident set of the one process"]
    try:
        peer: Samples | None = _fresh(stage.another_fastapi())
    except NotMeasured as missing:
        peer = None
        notes.append(str(missing))
    return Measured(ours=ours, peer=peer, unit="MB", notes=notes)


def _fresh(server: AbstractContextManager[Program]) -> Samples:
    with server as program:
        time.sleep(SETTLED_AFTER)
        return Samples([resident_bytes(program.pid) / MEGABYTE])


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status")
    if status.exists() and (found := re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return int(said) * 1024
