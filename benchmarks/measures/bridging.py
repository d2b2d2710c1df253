"""How fast a bridge brings events to where they go."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.events import EVENT, STREAM, compact
from benchmarks.load.values import Result
from benchmarks.measures.rate import Contender, Failed, compare
from benchmarks.running.bridge import HANDLER
from benchmarks.running.program import LOOPBACK
from benchmarks.running.synapse import ROOT
from benchmarks.stage import Stage
from benchmarks.values import Measured

# Events to be read, for each second of a round: what a bridge does in about that time.
EVENTS_A_SECOND = 25_000
# Of those that leave by HTTP.
POSTS_A_SECOND = 8_000
IN_FLIGHT = 64
_ALLOWED = {"SYNAPSE_HANDLERS": HANDLER, "SYNAPSE_WEBHOOK_ALLOW": LOOPBACK}
_SECRET = {"SYNAPSE_SECRET_BENCHMARK": "whsec_YSBzZWNyZXQgdGhhdCBub2JvZHkgaGFzIHRvIGtlZXA="}
_AT_ONCE = 10_000
_PATIENCE = 120


def handler(stage: Stage) -> Measured:
    """Read, decode, call a Python function in its own process, settle; beside reading and settling alone."""

    def ours() -> Contender:
        return _reader(stage, "bridge", ["benchmarks.running.bridge", STREAM])

    def peer() -> Contender:
        return _reader(stage, "bare loop", ["benchmarks.peers.bare_reader", stage.valkey.endpoint.url, STREAM])

    return compare(stage, "events/s", ours, peer)


def webhook(stage: Stage) -> Measured:
    """Read, decode, sign, post, settle; beside posting alone, with the same client and as many under way."""
    config = {"url": f"{stage.receiver.url}/", "secret": "benchmark", "body": "event", "concurrency": IN_FLIGHT}

    def ours() -> Contender:
        return _reader(
            stage,
            "bridge",
            ["benchmarks.running.bridge", STREAM, "webhook", json.dumps(config)],
            a_second=POSTS_A_SECOND,
        )

    def peer() -> Contender:
        return Contender(name="bare loop", send=lambda seconds: _posted(stage, POSTS_A_SECOND * seconds))

    return compare(stage, "events/s", ours, peer)


def _reader(stage: Stage, name: str, words: Sequence[str], *, a_second: int = EVENTS_A_SECOND) -> Contender:
    def send(seconds: int) -> Result:
        left = a_second * seconds
        while left > 0:
            stage.valkey.fill(STREAM, [stage.stored_fields] * min(left, _AT_ONCE))
            left -= _AT_ONCE
        return _drained(stage, words)

    return Contender(name=name, send=send, stream=STREAM)


def _drained(stage: Stage, words: Sequence[str]) -> Result:
    """Have a group of its own read the stream to its end."""
    return _done(stage, [*words, f"group-{secrets.token_hex(4)}"], count=stage.valkey.added(STREAM))


def _posted(stage: Stage, count: int) -> Result:
    """Have the receiver get so many events, all of them the same."""
    words = ["benchmarks.peers.bare_poster", f"{stage.receiver.url}/", str(count), str(IN_FLIGHT)]
    return _done(stage, words, count=count, said=compact(EVENT).decode())


def _done(stage: Stage, words: Sequence[str], *, count: int, said: str = "") -> Result:
    result = subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, **stage.settings, **_SECRET, **_ALLOWED, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        input=said,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if result.returncode:
        raise Failed(f"{words[0]} failed:\n{(result.stdout + result.stderr)[-2000:]}")
    found = json.loads(result.stdout)
    if found["events"] < count:
        raise Failed(f"{words[0]} did {found['events']} events of {count}")
    return Result(requests=found["events"], seconds=found["seconds"], errors=0, p50_ms=0, p99_ms=0)
