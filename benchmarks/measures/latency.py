"""The time from a publish to the call of a bridge's handler, at a rate that leaves the machine idle time."""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.events import STREAM
from benchmarks.load.own import run_program
from benchmarks.measures.rate import Failed
from benchmarks.running.latency_handler import FILE, HANDLER
from benchmarks.running.program import Program, running
from benchmarks.running.synapse import MANAGE, ROOT
from benchmarks.stage import Stage
from benchmarks.values import Measured, Samples

RATE = 500
# The seconds by which a round may end late; a later one did not keep the rate.
_LATE_MS = 250
_PATIENCE = 15


def median(stage: Stage) -> Measured:
    """The time that half of the events do not exceed."""
    rounds = _rounds(stage)
    return Measured(ours=Samples([found["p50_ms"] for found in rounds]), unit="ms", rounds=rounds)


def worst(stage: Stage) -> Measured:
    """The time that one in a hundred events exceeds, from the same rounds."""
    rounds = _rounds(stage)
    most = max(found["most_ms"] for found in rounds)
    events = sum(found["sent"] for found in rounds)
    return Measured(
        ours=Samples([found["p99_ms"] for found in rounds]),
        unit="ms",
        notes=[f"the slowest of {events:,} events took {most:.0f} ms"],
        rounds=rounds,
    )


@cache
def _rounds(stage: Stage) -> list[dict[str, Any]]:
    server = stage.synapse
    stage.valkey.fresh(STREAM)
    with TemporaryDirectory(prefix="synapse-bench-") as folder:
        times = Path(folder) / "times"
        with _bridge(stage, Path(folder), times):
            if stage.plan.warm_up:
                _round(server, times, stage.plan.warm_up)
            return [_round(server, times, stage.plan.seconds) for _ in range(stage.plan.rounds)]


@contextmanager
def _bridge(stage: Stage, folder: Path, times: Path) -> Iterator[Program]:
    """Run `manage.py consume` with the handler, in a new group."""
    group = f"group-{secrets.token_hex(4)}"
    own = {**stage.settings, "SYNAPSE_HANDLERS": HANDLER, "PYTHONPATH": str(ROOT), FILE: str(times)}

    def has_joined(_: Program) -> bool:
        client = stage.valkey.client
        groups = client.xinfo_groups(STREAM) if client.exists(STREAM) else []
        return any(found["name"] == group.encode() and found["consumers"] for found in groups)

    command = [sys.executable, MANAGE, "consume", STREAM, "--handler", HANDLER, "--group", group]
    with running("consume", command, port=0, folder=folder, environment=own, ready=has_joined) as program:
        yield program


def _round(server: Program, times: Path, seconds: int) -> dict[str, Any]:
    times.write_bytes(b"")
    order = {"url": f"{server.url}/events/{STREAM}", "rate": RATE, "seconds": seconds}
    found = run_program("steady_client", order, patience=_PATIENCE)
    end = time.monotonic() + _PATIENCE
    while (handled := times.read_bytes().count(b"\n")) < found["sent"] and time.monotonic() < end:
        time.sleep(0.05)
    if found["stored"] != found["sent"] or handled != found["sent"]:
        raise Failed(f"of {found['sent']} events {found['stored']} were stored and {handled} handled")
    if found["late_ms"] > _LATE_MS:
        raise Failed(f"no {RATE} events a second: the last was sent {found['late_ms']:.0f} ms late")
    taken = sorted(int(line) / 1e6 for line in times.read_text().split())
    return {
        **found,
        "p50_ms": taken[len(taken) // 2],
        "p99_ms": taken[len(taken) * 99 // 100],
        "most_ms": taken[-1],
    }
