"""Three processes that evaluate, of which the one at work is killed again and again: each change is there once.

In each run `test_evaluating.py` has two evaluators that both believe to be the one at work.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.conftest import Stage, only
from tests.patience import eventually
from tests.valkey import Valkey

PROGRAM = """
import sys, time
from synapse.alerts.definitions import Definitions
from synapse.alerts.evaluator import Evaluator
from synapse.alerts.rules import DEFAULTS_BY_NAME
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.redis import Command, Server, SyncExecutor

executor = SyncExecutor(Server(locate=lambda: sys.argv[1], timeout=60))
streams = {name: StreamDefinition(name=name) for name in ("orders", "synapse-alerts")}
definitions = Definitions(catalog=Snapshot(version=1, streams=streams), rules=[DEFAULTS_BY_NAME["dead-letters"]])
evaluator = Evaluator(
    lambda: executor,
    lambda: definitions,
    lambda condition, subject: "/admin/",
    # The clock of the test.
    clock=lambda: float(executor.execute([Command(("GET", "clock"))])[0]),
)
while True:
    evaluator.step()
    time.sleep(0.02)
"""
ROOT = Path(__file__).parents[2]
LETTERS = "syn:{orders}:dlq:shop"


class Evaluators:
    """Processes that evaluate."""

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._all.append(subprocess.Popen([sys.executable, "-c", PROGRAM, self._server.url], cwd=ROOT))

    def kill_the_one_at_work(self, stage: Stage) -> None:
        """Kill the process that holds the lease, and start another one."""
        lease = stage.redis.get("syn:alerts")
        pid = int(lease.split(b":")[-2]) if lease else 0
        for process in self._all:
            if process.pid == pid:
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.start()

    def stop(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


@pytest.fixture
def evaluators(valkey_of_session: Valkey) -> Iterator[Evaluators]:
    found = Evaluators(valkey_of_session)
    yield found
    found.stop()


@pytest.mark.nightly
def test_each_change_is_recorded_and_told_once_while_the_evaluator_is_killed_again_and_again(stage, evaluators):
    stage.set(rules=only("dead-letters"))

    def turn() -> None:
        stage.now += 5
        stage.redis.set("clock", stage.now)
        assert stage.sampler.step()

    turn()
    for _ in range(3):
        evaluators.start()
    eventually(lambda: stage.redis.get("syn:alerts"))
    states = ["firing", "resolved"] * 3
    for place, state in enumerate(states):
        if state == "firing":
            stage.bury()
        else:
            stage.redis.delete(LETTERS)
        turn()
        # Somewhere within its step: each time a little later.
        time.sleep(place * 0.004)
        evaluators.kill_the_one_at_work(stage)

        def is_there(wanted: int = place + 1) -> bool:
            turn()
            return len(stage.changes) >= wanted

        eventually(is_there)
    for _ in range(15):
        turn()
        eventually(lambda: float(stage.redis.get("syn:{synapse-alerts}:alerts:evaluated") or 0) >= stage.now)

    assert [found for _, found in stage.changes] == states
    assert [event["state"] for event in stage.events("alert-changed")] == states
    told = stage.events("alert-notification")
    assert len({event["dedupe_key"] for event in told}) == len(told)
    assert told[-1]["state"] == "resolved"
