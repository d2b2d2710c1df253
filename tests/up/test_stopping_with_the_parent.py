"""A program that was started by `up` does not outlive it, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.embedded.machine import is_running
from tests.patience import eventually
from tests.up.programs import OBEDIENT, PARENT, WITH_WORKER, python


def test_a_program_stops_when_its_parent_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *python(OBEDIENT, tmp_path)])
    eventually((tmp_path / "started").exists)

    parent.kill()
    parent.wait()

    eventually((tmp_path / "stopped").exists)


def test_a_worker_stops_when_the_program_that_started_it_was_killed(tmp_path: Path) -> None:
    program = subprocess.Popen(python(WITH_WORKER, tmp_path))
    eventually((tmp_path / "worker").exists)
    worker = int((tmp_path / "worker").read_text())

    program.kill()
    program.wait()

    eventually(lambda: not is_running(worker))


def test_a_program_that_was_started_by_hand_lives_on_its_own(tmp_path: Path) -> None:
    program = subprocess.Popen(python(OBEDIENT, tmp_path))
    eventually((tmp_path / "started").exists)

    assert program.poll() is None

    os.kill(program.pid, signal.SIGTERM)
    assert program.wait(60) == 0
