"""`python -m benchmarks.start_up`: how long `make run` takes until /health answers 200.

Measured in a copy of the checkout: without anything (every package is downloaded), with a new virtual environment but
packages in pip's cache, and with everything installed. The first two use the package registry, so their times depend on
the network.
"""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.running.program import Program, free_port
from benchmarks.running.synapse import ROOT
from synapse_project.environment import SETTINGS

PATIENCE = 300.0
POLL = 0.05


def main() -> int:
    """Measure the three starts one after the other and print them. Return 1 when one failed."""
    with TemporaryDirectory(prefix="synapse-bench-start-") as folder:
        checkout, cache = Path(folder) / "checkout", Path(folder) / "pip-cache"
        copy_checkout(checkout)
        for what in ("nothing cached", "packages cached, no virtual environment", "everything in place"):
            if what != "everything in place":
                shutil.rmtree(checkout / ".venv", ignore_errors=True)
            seconds = timed_start(checkout, cache)
            print(f"make run, {what}: " + (f"healthy after {seconds:.1f} s" if seconds else "not healthy in time"))
            if not seconds:
                return 1
    return 0


def copy_checkout(to: Path) -> None:
    """Copy the files that git tracks or does not ignore."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def timed_start(checkout: Path, cache: Path) -> float | None:
    """Return the seconds from the command to the first healthy answer; None when the command ends or takes too long."""
    port = free_port()
    begun = time.monotonic()
    with make_run(checkout, cache, port) as process:
        server = Program(name="make run", port=port, pid=process.pid)
        while process.poll() is None and time.monotonic() - begun < PATIENCE:
            if is_healthy(server):
                return time.monotonic() - begun
            time.sleep(POLL)
    return None


@contextmanager
def make_run(checkout: Path, cache: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `make run` during the block, and stop it as Ctrl-C does. Its output is shown."""
    ignored = {name for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    variables = {name: text for name, text in os.environ.items() if name not in ignored}
    process = subprocess.Popen(
        ["make", "run", f"PORT={port}"],
        cwd=checkout,
        env={**variables, "PIP_CACHE_DIR": str(cache), "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # A new session for `make` and its programs, which all get the signal, as from a terminal's Ctrl-C.
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_healthy(server: Program) -> bool:
    """Say whether /health answers 200."""
    try:
        return server.ask("GET", "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(main())
