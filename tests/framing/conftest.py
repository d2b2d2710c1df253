"""A web server with a stream, and proxies in front of it."""

from collections.abc import Iterator

import pytest

from streams.snapshot import holder
from tests.live.server import RunningServer, running_server


@pytest.fixture
def server(redis: object, define: object) -> Iterator[RunningServer]:
    define("orders", {"order-placed": {"required": ["n"]}})  # type: ignore[operator]
    holder.refresh()
    with running_server() as running:
        yield running
