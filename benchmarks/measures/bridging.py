"""How fast a bridge brings events to where they go."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.events import STREAM
from benchmarks.load.values import Result
from benchmarks.measures.rate import Contender, Failed, compare
from benchmarks.running.bridge import HANDLER
from benchmarks.running.synapse import ROOT
from benchmarks.stage import Stage
from benchmarks.values import Measured

# Events to be read, for each second of a round: what a bridge does in about that time.
EVENTS_A_SECOND = 25_000
_AT_ONCE = 10_000
_PATIENCE = 120


def handler(stage: Stage) -> Measured:
    """Read, decode, call a Python function in its own process, settle; beside reading and settling alone."""

    def ours() -> Contender:
        return _reader(stage, "bridge", ["benchmarks.running.bridge", STREAM])

    def peer() -> Contender:
        return _reader(stage, "bare loop", ["benchmarks.peers.bare_reader", stage.valkey.endpoint.url, STREAM])

    return compare(stage, "events/s", ours, peer)


def _reader(stage: Stage, name: str, words: Sequence[str]) -> Contender:
    def send(seconds: int) -> Result:
        count = EVENTS_A_SECOND * seconds
        for _ in range(0, count, _AT_ONCE):
            stage.valkey.fill(STREAM, [stage.stored_fields] * _AT_ONCE)
        return _drained(stage, words)

    return Contender(name=name, send=send, stream=STREAM)


def _drained(stage: Stage, words: Sequence[str]) -> Result:
    """Have a group of its own read the stream to its end."""
    result = subprocess.run(
        [sys.executable, "-m", *words, f"group-{secrets.token_hex(4)}"],
        env={**os.environ, **stage.settings, "SYNAPSE_HANDLERS": HANDLER, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if result.returncode:
        raise Failed(f"{words[0]} failed:\n{(result.stdout + result.stderr)[-2000:]}")
    found = json.loads(result.stdout)
    if found["events"] < stage.valkey.added(STREAM):
        raise Failed(f"{words[0]} read {found['events']} events of {stage.valkey.added(STREAM)}")
    return Result(requests=found["events"], seconds=found["seconds"], errors=0, p50_ms=0, p99_ms=0)
