"""Fixtures of the client's tests: a real Valkey, started here, and the package from this folder's sources.

Run from the root of the repository: `pytest client/tests`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CLIENT = Path(__file__).resolve().parents[1]
for folder in (CLIENT.parent, CLIENT / "src"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from acting import Clock  # noqa: E402 - found by the path above
from tests.patience import eventually  # noqa: E402 - found by the path above
from tests.valkey import Valkey, running_valkey  # noqa: E402 - found by the path above


@pytest.fixture(scope="session")
def valkey_of_session() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def valkey(valkey_of_session: Valkey) -> Valkey:
    """A shared server that is empty when the test begins, without blocked clients. Tests must leave it running."""
    with valkey_of_session.client() as client:
        eventually(lambda: not client.info("clients")["blocked_clients"])
        client.flushall()
    return valkey_of_session


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server for one test, which may kill and restart it. It keeps its data on disk."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@pytest.fixture
def redis(valkey: Valkey) -> Iterator[Any]:
    """A redis-py client of the same server, for arranging and asserting."""
    with valkey.client() as client:
        yield client


@pytest.fixture
def clock(redis: Any, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(redis, monkeypatch)
