"""A stream, a group that is pulled from it, and a consumer that pulls."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from bridges.models import Bridge
from bridges.snapshot import holder as bridges
from streams.models import Stream
from streams.snapshot import holder as streams
from tests.both_ways import Answer
from tests.live.server import RunningServer, running_server
from tests.pull.cast import GROUP, STREAM, Puller


@pytest.fixture
def orders(define: Callable[..., Any]) -> Any:
    """A stream of the catalog, and another."""
    # One change, which is loaded once where tests commit.
    with transaction.atomic():
        define("parcels")
        return define("orders", {"order-placed": {"required": ["n"]}, "order-lost": None})


@pytest.fixture
def group(orders: Any) -> Callable[..., Bridge]:
    """Return a function that defines the group with other settings: `group(order="stream")`."""

    def make(name: str = GROUP, **columns: Any) -> Bridge:
        values = {"name": name, "sink": "pull", "lease_seconds": 300, **columns}
        return Bridge.objects.create(stream=Stream.objects.get(name=STREAM), group=name, **values)

    return make


@pytest.fixture
def puller(ask: Callable[..., Answer], orders: Any) -> Callable[..., Puller]:
    """Return a function that makes a pulling consumer, on the fast path or in Django."""
    return lambda name="worker-1", **options: Puller(ask, name, **options)


@pytest.fixture
def server(redis: Any, group: Callable[..., Bridge]) -> Iterator[RunningServer]:
    """A server on a real socket, with a group that is pulled."""
    group()
    streams.refresh()
    bridges.current()
    with running_server() as running:
        yield running
