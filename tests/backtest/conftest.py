"""Streams with real entries in them, and commands as a person runs them."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
import pytest
import redis as redis_py
from django.core.management import CommandError, call_command

from synapse.wire import encoding

PLACED = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Order placed",
    "type": "object",
    "required": ["event_type", "number"],
    "properties": {
        "event_type": {"type": "string", "const": "order-placed"},
        "number": {"type": "integer", "description": "The order's own number."},
    },
}


@pytest.fixture
def orders(define: Callable[..., object], redis: redis_py.Redis) -> None:
    """A stream `orders` whose `order-placed` events have a contract, and whose `order-packed` events have none."""
    define("orders", {"order-placed": PLACED, "order-packed": None})


@pytest.fixture
def store(redis: redis_py.Redis) -> Callable[..., list[str]]:
    """Put events on a stream as publishing does: `store({"number": 1}, ...)` returns the ids of their entries."""

    def store(*events: dict[str, object], stream: str = "orders", event_type: str = "order-placed") -> list[str]:
        with redis.pipeline(transaction=False) as pipeline:
            for event in events:
                parts = encoding.encode(
                    {"event_type": event_type, **event},
                    layout="flat",
                    timestamp="2026-11-23T10:00:00Z",
                    source="shop",
                    contract_version=1,
                )
                pipeline.execute_command("XADD", stream, "*", *parts)
            return [id_.decode() for id_ in pipeline.execute()]

    return store


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run a management command: `run("validate", "orders", "-", given=b"...", terminal=True)`."""

    def run(*words: object, given: bytes = b"", terminal: bool = False) -> Ran:
        out, err = _Output(terminal), _Output(terminal)
        status = 0
        with standard_input(given):
            try:
                call_command(*map(str, words), stdout=out, stderr=err, no_color=True)
            except CommandError as error:
                status = error.returncode
                err.write(str(error))
            except SystemExit as ended:
                status = int(str(ended.code))
        return Ran(status, out.getvalue(), err.getvalue())

    return run


class _Output(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    original = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        yield
    finally:
        sys.stdin = original


def dumped(document: object) -> bytes:
    return orjson.dumps(document)
