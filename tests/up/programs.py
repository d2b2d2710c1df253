"""Small programs for a supervisor to run, and a supervisor that is ended as kill -9 ends it."""

import sys
from pathlib import Path

# Stops when its parent is gone, and leaves a file when it stops by SIGTERM.
OBEDIENT = """
import pathlib, signal, sys, time
from synapse.runtime import supervisor

def stop(*_):
    pathlib.Path(sys.argv[1], "stopped").touch()
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
supervisor.stop_with_parent()
pathlib.Path(sys.argv[1], "started").touch()
while True:
    time.sleep(60)
"""

# Starts one worker with `multiprocessing`, as a web server does; the worker writes down its number.
WITH_WORKER = """
import multiprocessing, os, pathlib, sys, time
from synapse.runtime import supervisor

def work(folder):
    supervisor.stop_with_parent()
    pathlib.Path(folder, "worker.new").write_text(str(os.getpid()))
    pathlib.Path(folder, "worker.new").rename(pathlib.Path(folder, "worker"))
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=work, args=(sys.argv[1],)).start()
    time.sleep(60)
"""

STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], "started").touch()
time.sleep(60)
"""

# An `up` in small: runs one program, and waits.
PARENT = """
import sys, time
from synapse.runtime.supervisor import Supervisor
supervisor = Supervisor(say=print)
supervisor.add("program", sys.argv[1:])
time.sleep(60)
"""


def python(program: str, folder: Path) -> list[str]:
    """Return the command that runs `program` with `folder` as its argument."""
    return [sys.executable, "-c", program, str(folder)]


class Clock:
    """Time that passes when the test says so, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds
