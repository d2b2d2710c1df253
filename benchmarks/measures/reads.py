"""How fast reads of streams are answered."""

from benchmarks.events import STREAM
from benchmarks.load.values import Request
from benchmarks.measures.rate import Contender, compare, over_http
from benchmarks.running import fastapi
from benchmarks.running.program import Program
from benchmarks.stage import Stage
from benchmarks.values import Measured, NotMeasured

CONNECTIONS = 32
FILLED = 1_000


def messages(stage: Stage) -> Measured:
    """Read the ten newest entries of a stream of a thousand."""
    return _compare(stage, f"/streams/{STREAM}/messages?count=10")


def info(stage: Stage) -> Measured:
    """Read the state of a stream in Redis."""
    return _compare(stage, f"/streams/{STREAM}/info")


def health(stage: Stage) -> Measured:
    """Request the health check."""
    return _compare(stage, "/health")


def _compare(stage: Stage, path: str) -> Measured:
    for stream in (STREAM, fastapi.STREAM):
        fields = stage.stored_fields
        stage.valkey.fresh(stream)
        stage.valkey.fill(stream, [fields] * FILLED)
    return compare(
        stage, "requests/s", lambda: _reader(stage, stage.synapse, path), lambda: _reader(stage, stage.fastapi, path)
    )


def _reader(stage: Stage, server: Program, path: str) -> Contender:
    status, _ = server.ask("GET", path)
    if status != 200:
        raise NotMeasured(f"{server.name} answers GET {path} with {status}")
    return over_http(stage, server, Request(url=server.url + path), connections=CONNECTIONS)
