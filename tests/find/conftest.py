"""Fixtures of the tests of finding events: an indexer whose steps a test takes, and entries as Synapse writes them."""

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import redis as redis_py

from streams import connections
from streams.snapshot import holder
from synapse.correlation.indexer import Indexer


def find(ask, text, headers=None, **more):
    """Return the answer to a search."""
    answer = ask("GET", f"/events/find?{urlencode({'q': text, **more})}", headers=headers)
    assert answer.status == 200, answer.body
    return answer.json


def found(ask, text, headers=None, **more):
    """Return the stream of each event that a search finds, its id, and by what it was found."""
    events = find(ask, text, headers, **more)["events"]
    return [(each["stream"], each["id"], each["found_by"]) for each in events]


OWN = {"event": "order-placed", "timestamp": "2026-01-01T00:00:00.000Z", "source": "shop"}
BESIDE = {"synapse_version": "0", "synapse_added": "ets"}


def make_indexer() -> Indexer:
    """Return an indexer that does all there is to do in one step, in whatever time that takes."""
    return Indexer(
        connections.executor, lambda: holder.current().streams, connections.digests, budget=60, busy=lambda: 0.0
    )


@pytest.fixture
def indexer(redis: redis_py.Redis) -> Indexer:
    return make_indexer()


@pytest.fixture
def add(redis: redis_py.Redis) -> Callable[..., list[str]]:
    """Add entries as Synapse writes them, and return their ids: `add("orders", 300, request_id="r{}")`."""

    def add(stream: str, count: int = 1, *, event_type: str = "order-placed", **properties: str) -> list[str]:
        with redis.pipeline(transaction=False) as pipe:
            for number in range(count):
                own = {name: text.format(number) for name, text in properties.items()}
                pipe.xadd(stream, {"event_type": event_type, **own, **OWN, "event": event_type, **BESIDE})
            return [id_.decode() for id_ in pipe.execute()]

    return add
