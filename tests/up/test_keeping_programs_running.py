"""A program that dies is started again; a stop reaches all of it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse.runtime.supervisor import Supervisor
from tests.embedded.machine import is_running
from tests.patience import eventually
from tests.up.programs import OBEDIENT, STUBBORN, WITH_WORKER, Clock, python


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(clock: Clock, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(say=said.append, clock=clock)
    yield supervisor
    supervisor.kill()


def test_a_program_that_runs_needs_nothing(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.add("program", python(STUBBORN, tmp_path))

    assert supervisor.step() is False


def test_a_program_that_was_killed_is_started_again(
    supervisor: Supervisor, clock: Clock, said: list[str], tmp_path: Path
) -> None:
    program = supervisor.add("program", python(STUBBORN, tmp_path))
    first = program.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    eventually(supervisor.step)
    assert said == ["The program was ended by SIGKILL; starting it again in 0.5 s."]
    assert supervisor.step() is False
    clock.pass_(0.5)
    assert supervisor.step() is True

    assert program.pid not in (None, first)


def test_a_program_that_keeps_failing_is_started_less_and_less_often(
    supervisor: Supervisor, clock: Clock, said: list[str]
) -> None:
    supervisor.add("program", [sys.executable, "-c", "raise SystemExit(3)"])

    for _ in range(3):
        eventually(supervisor.step)
        clock.pass_(10)
        eventually(supervisor.step)

    assert said == [
        f"The program ended with exit status 3; starting it again in {wait} s." for wait in ("0.5", "1", "2")
    ]


def test_workers_of_a_program_that_was_killed_are_ended_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    program = supervisor.add("program", python(WITH_WORKER.replace("supervisor.stop_with_parent()", ""), tmp_path))
    eventually((tmp_path / "worker").exists)
    worker = int((tmp_path / "worker").read_text())
    assert program.pid is not None
    os.kill(program.pid, signal.SIGKILL)

    eventually(supervisor.step)

    eventually(lambda: not is_running(worker))


def test_a_stop_lets_a_program_finish(supervisor: Supervisor, tmp_path: Path) -> None:
    program = supervisor.add("program", python(OBEDIENT, tmp_path))
    eventually((tmp_path / "started").exists)

    supervisor.stop()

    assert (tmp_path / "stopped").exists()
    assert program.exit_description() == "ended with exit status 0"


class Disturbed:
    """A lock on a program. A signal comes each time when it was just taken."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self, *words: bool) -> bool:
        taken: bool = self._lock.acquire(*words)
        signal.raise_signal(signal.SIGTERM)
        return taken

    def release(self) -> None:
        self._lock.release()


def test_a_signal_that_comes_while_a_program_is_looked_after_does_not_keep_it_from_being_stopped(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = supervisor.add("program", python(STUBBORN, tmp_path))
    assert program._process is not None
    lock = program._process._waitpid_lock  # type: ignore[attr-defined]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(program._process, "_waitpid_lock", Disturbed(lock))
            with pytest.raises(KeyboardInterrupt):
                supervisor.step()
        assert not lock.locked()
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)

    supervisor.kill()

    assert program.exit_description() == "was ended by SIGKILL"


def test_a_program_that_does_not_stop_is_killed(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse.runtime.supervisor.STOP_PATIENCE", 0.1)
    program = supervisor.add("program", python(STUBBORN, tmp_path))
    eventually((tmp_path / "started").exists)

    supervisor.stop()

    assert program.exit_description() == "was ended by SIGKILL"
