"""A stream with a group whose worker a test moves step by step, and its timelines over HTTP."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from bridges.models import Bridge
from streams.snapshot import holder
from tests.admin.conftest import client_who_may
from tests.bridges.cast import GROUP, STREAM
from tests.bridges.conftest import bridge, no_redis, send
from tests.dead_letters.conftest import CONTRACT, MoodySink
from tests.definitions import define

__all__ = ["bridge", "client_who_may", "no_redis", "send"]


@pytest.fixture
def orders(redis, db) -> Any:
    """The stream, with a contract that it only warns of."""
    return define(STREAM, {"order-placed": CONTRACT, "order-paid": None}, enforcement="warn")


@pytest.fixture
def shop(orders) -> Bridge:
    """The bridge that reads as the group."""
    row = Bridge.objects.create(name="orders-to-shop", stream=orders, group=GROUP, sink="console")
    holder.forget()
    return row


@pytest.fixture
def worker(redis, orders, bridge) -> Callable[..., Any]:
    """Make a worker of the group, whose sink refuses events with a mood until it is cured."""
    return lambda **options: bridge(MoodySink(), **options)


@pytest.fixture
def timeline(client, orders) -> Callable[..., Any]:
    """Ask for the timeline of an event."""

    def ask(id_: str, *, status: int = 200, stream: str = STREAM, **headers: str) -> Any:
        answer = client.get(f"/streams/{stream}/messages/{id_}/timeline", headers=headers)
        assert answer.status_code == status, answer.content
        return orjson.loads(answer.content)

    return ask


@pytest.fixture
def place(timeline) -> Callable[..., Any]:
    """Ask for an event's place in one group."""

    def ask(id_: str, group: str = GROUP) -> Any:
        return next(row for row in timeline(id_)["groups"] if row["group"] == group)

    return ask
