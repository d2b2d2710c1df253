"""The time from a publish to its arrival at the watchers of the stream."""

import threading
from typing import Any

from benchmarks.events import STREAM
from benchmarks.load.own import run_program
from benchmarks.measures.memory import resident_bytes
from benchmarks.measures.rate import Failed
from benchmarks.running import processor
from benchmarks.running.program import Program
from benchmarks.stage import Stage
from benchmarks.values import Measured, Samples

WATCHERS, RATE = 500, 100
# The share of the planned events that must be published; less would measure an easier load.
NEARLY = 0.95
MEGABYTE = 1024 * 1024
_PATIENCE = 60


def tail(stage: Stage) -> Measured:
    """Publish one event after the other to many watchers. Each watcher must get each event, once and in order."""
    with stage.another_synapse() as server:
        if stage.plan.warm_up:
            _watched(stage, server, stage.plan.warm_up)
        before = resident_bytes(server.pid)
        rounds = [_watched(stage, server, stage.plan.seconds) for _ in range(stage.plan.rounds)]
        after = resident_bytes(server.pid)
    frames = sum(found["received"] for found in rounds)
    slowest = max(found["most_ms"] for found in rounds)
    medians = [found["p50_ms"] for found in rounds]
    cpu_us = sum(found["cpu_seconds"] for found in rounds) / frames * 1e6
    return Measured(
        ours=Samples([found["p99_ms"] for found in rounds]),
        unit="ms",
        notes=[
            f"medians {min(medians):.0f}-{max(medians):.0f} ms, slowest of {frames:,} {slowest:.0f} ms",
            f"memory of the server {before / MEGABYTE:.0f} MB, after all rounds {after / MEGABYTE:.0f} MB",
            f"read loops in Redis' CLIENT LIST: {max(found['loops'] for found in rounds)}; "
            f"processor time, microseconds each: {cpu_us:.1f}",
        ],
        rounds=rounds,
    )


def _watched(stage: Stage, server: Program, seconds: int) -> dict[str, Any]:
    stage.valkey.fresh(STREAM)
    loops = _Loops(stage)
    used = processor.seconds(server.pid)
    found = watch(server, seconds)
    used = processor.seconds(server.pid) - used
    most = loops.stop()
    if found["published"] < NEARLY * RATE * seconds:
        raise Failed(f"only {found['published']} events were published in {seconds} s: the machine is too busy")
    if most != 1:
        raise Failed(f"{most} connections read the stream at a time")
    return {**found, "cpu_seconds": used, "loops": most}


def watch(server: Program, seconds: int) -> dict[str, Any]:
    """Run many watchers and one publisher for some seconds; return the counts of live_client.py.

    Raises:
        Failed: when a watcher did not get each event once and in order.
    """
    order = {"url": server.url, "stream": STREAM, "watchers": WATCHERS, "rate": RATE, "seconds": seconds}
    found = run_program("live_client", order, patience=_PATIENCE)
    if found["received"] != WATCHERS * found["published"] or found["out_of_order"]:
        raise Failed(f"{found['published']} events for {WATCHERS} who watch: {found}")
    return found


class _Loops:
    """Counts, several times a second, the connections that wait in XREAD."""

    def __init__(self, stage: Stage) -> None:
        self._client = stage.valkey.client
        self._over = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Stop counting, and return the highest count."""
        self._over.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._over.wait(0.25):
            clients = self._client.client_list()
            self._most = max(self._most, sum(client["cmd"] == "xread" for client in clients))
