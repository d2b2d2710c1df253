"""The cost of changing contracts, and of looking them up."""

import json

from benchmarks.events import STREAM
from benchmarks.load.values import Request
from benchmarks.measures.rate import Contender, Failed, compare, over_http
from benchmarks.running.synapse import run_module
from benchmarks.stage import Stage
from benchmarks.values import Measured, Samples

EVENTS = 10_000
CONNECTIONS = 8
_ROUNDS = 20
_REGISTRATIONS = 5


def check(stage: Stage) -> Measured:
    """Compare two versions of the guide's largest schema, in both directions."""
    return _timed(stage, "check", _ROUNDS)


def register(stage: Stage) -> Measured:
    """Register a version that must be compatible with a hundred earlier ones."""
    # Each round adds a version; few rounds keep the number near a hundred.
    return _timed(stage, "register", _REGISTRATIONS)


def back_test(stage: Stage) -> Measured:
    """Test ten thousand events against a schema that all of them break."""
    stage.valkey.fresh(STREAM)
    stage.valkey.fill(STREAM, [stage.stored_fields] * EVENTS)
    return _timed(stage, "back-test", stage.plan.rounds)


def lookup(stage: Stage) -> Measured:
    """Read a schema by its id, compared with another read that Django answers."""

    def ours() -> Contender:
        return _reader(stage, "/registry/schemas/ids/1")

    def peer() -> Contender:
        return _reader(stage, f"/streams/{STREAM}/groups")

    return compare(stage, "requests/s", ours, peer)


def _reader(stage: Stage, path: str) -> Contender:
    status, answer = stage.synapse.ask("GET", path)
    if status != 200:
        raise Failed(f"GET {path} was answered with {status}: {answer[:200].decode(errors='replace')}")
    return over_http(stage, stage.synapse, Request(url=stage.synapse.url + path), connections=CONNECTIONS)


def _timed(stage: Stage, work: str, rounds: int) -> Measured:
    found = run_module(stage.settings, "benchmarks.running.contracts", work, str(rounds))
    return Measured(ours=Samples(json.loads(found)), unit="ms")
