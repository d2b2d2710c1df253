"""A stream, and a server to watch it through."""

from collections.abc import Iterator

import pytest

from streams.snapshot import holder
from tests.live.server import RunningServer, running_server


@pytest.fixture
def orders(define) -> None:
    """Streams of the catalog."""
    define("orders", {"order-placed": None, "order-lost": None})
    define("parcels")
    define("taken")
    # The event loop of the server asks no database.
    holder.refresh()


@pytest.fixture
def server(redis, orders) -> Iterator[RunningServer]:
    """A server on the Valkey that tests share."""
    with running_server() as running:
        yield running


@pytest.fixture
def own_server(own_valkey, orders) -> Iterator[RunningServer]:
    """A server on a Valkey that the test may kill."""
    with running_server() as running:
        yield running
