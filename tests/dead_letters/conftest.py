"""Dead letters that came about as they do: a worker, and a sink that takes nothing."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.bridges.cast import STREAM, TWICE, KeepingSink
from tests.bridges.conftest import bridge, no_redis
from tests.definitions import define

__all__ = ["bridge", "no_redis"]

CONTRACT = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "total": {"type": "integer"}},
    "required": ["n"],
}


@pytest.fixture
def orders(redis, db) -> Any:
    """The stream, with a contract for one of its event types."""
    return define(STREAM, {"order-placed": CONTRACT, "order-paid": None})


class MoodySink(KeepingSink):
    """Refuses with the words that an event brings, until it is cured."""

    def __init__(self) -> None:
        super().__init__()
        self.cured = False

    def take(self, delivery: Any) -> None:
        if not self.cured and "mood" in delivery.event:
            raise ValueError(delivery.event["mood"])
        self.got.append(delivery)


@pytest.fixture
def worker(redis, orders, bridge) -> Any:
    """A worker of the group, whose sink has moods; an event is tried twice."""
    made = bridge(MoodySink(), retry=TWICE)
    made.worker.step()
    return made


@pytest.fixture
def die(redis, worker) -> Callable[..., list[str]]:
    """Publish events that the sink refuses, and let them die; return their ids."""

    def many(*moods: str, **fields: Any) -> list[str]:
        ids = [
            redis.xadd(STREAM, {"event_type": "order-placed", "n": n, "mood": mood, **fields}).decode()
            for n, mood in enumerate(moods)
        ]
        worker.run_dry()
        return ids

    return many


class Api:
    """Asks the dead letters of the group; gives the status and the document."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.base = f"/streams/{STREAM}/groups/warehouse/dead-letters"

    def get(self, path: str = "", **query: Any) -> tuple[int, Any]:
        answer = self._client.get(f"{self.base}{path}", query)
        return answer.status_code, orjson.loads(answer.content)

    def post(self, path: str, body: Any = None, *, raw: bytes = b"") -> tuple[int, Any]:
        data = raw if body is None else orjson.dumps(body)
        answer = self._client.post(f"{self.base}{path}", data, content_type="application/json")
        return answer.status_code, orjson.loads(answer.content)

    def ids(self, **query: Any) -> list[str]:
        return [letter["id"] for letter in self.get(**query)[1]["dead_letters"]]


@pytest.fixture
def api(client, orders) -> Api:
    return Api(client)
