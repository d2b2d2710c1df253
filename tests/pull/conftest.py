"""A stream, a group that is pulled from it, and one who pulls."""

from collections.abc import Callable
from typing import Any

import pytest

from bridges.models import Bridge
from streams.models import Stream
from tests.lanes import Answer
from tests.pull.cast import GROUP, STREAM, Puller


@pytest.fixture
def orders(define: Callable[..., Any]) -> Any:
    """A stream of the catalog, and another."""
    define("parcels")
    return define("orders", {"order-placed": {"required": ["n"]}, "order-lost": None})


@pytest.fixture
def group(orders: Any) -> Callable[..., Bridge]:
    """Define the group as somebody did who wanted it otherwise: `group(order="stream")`."""

    def make(name: str = GROUP, **columns: Any) -> Bridge:
        values = {"name": name, "sink": "pull", "lease_seconds": 300, **columns}
        return Bridge.objects.create(stream=Stream.objects.get(name=STREAM), group=name, **values)

    return make


@pytest.fixture
def puller(ask: Callable[..., Answer], orders: Any) -> Callable[..., Puller]:
    """Return one who pulls, through either lane."""
    return lambda name="worker-1", **options: Puller(ask, name, **options)
