"""Streams, and a server to follow them."""

from collections.abc import Iterator

import pytest

from streams.snapshot import holder
from tests.live.server import RunningServer, running_server


@pytest.fixture
def streams(define) -> None:
    """Streams of the catalog."""
    define("orders", {"order-placed": {"required": ["n"]}, "order-lost": None})
    define("parcels")
    define("taken")
    # The event loop of the server asks no database.
    holder.refresh()


@pytest.fixture
def server(redis, streams) -> Iterator[RunningServer]:
    with running_server() as running:
        yield running
