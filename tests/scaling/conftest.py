"""The places where the events can be, each a real one on loopback."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pytest
import redis as redis_py

from streams.snapshot import holder
from synapse.redis import connection
from tests.bridges.conftest import bridge
from tests.conftest import using
from tests.live.server import RunningServer, running_server
from tests.scaling.cluster import clustered
from tests.scaling.sentinel import watched_by_sentinels
from tests.scaling.tls import secured

__all__ = ["bridge"]


@pytest.fixture(autouse=True)
def patient_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreeing on the keys of TLS takes long where all tests run at once."""
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 5.0)
    monkeypatch.setattr(connection, "SENTINEL_TIMEOUT", 2.0)


class Place(Protocol):
    """Servers that hold the events, and the URL by which Synapse finds them."""

    url: str

    def clients(self) -> list[redis_py.Redis]:
        """Return a plain client of each server that takes writes."""


PLACES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "Sentinel": watched_by_sentinels,
    "TLS": secured,
    "Cluster": clustered,
}


@pytest.fixture(scope="module", params=PLACES)
def place_of_module(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param]() as place:
        yield place


@pytest.fixture
def place(place_of_module: Place, settings: object) -> Iterator[Place]:
    """A place without any keys, which the project uses."""
    with using(place_of_module, settings):
        for client in place_of_module.clients():
            with client:
                client.flushall()
        yield place_of_module


@pytest.fixture
def redis(place: Place) -> Place:
    """What the cast of other tests asks for before it begins."""
    return place


@pytest.fixture
def orders(define: Callable[..., object]) -> None:
    """Streams that lie on different nodes, where there are several."""
    for name in ("orders", "parcels", "payments"):
        define(name, {"order-placed": None})
    holder.refresh()


@pytest.fixture
def server(place: Place, orders: None) -> Iterator[RunningServer]:
    """The web server, in a thread."""
    with running_server() as running:
        yield running
