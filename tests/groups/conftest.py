"""Groups in every state, and callers who act on them."""

from typing import Any

import orjson
import pytest

from tests.bridges.cast import STREAM
from tests.bridges.conftest import bridge, no_redis, send
from tests.definitions import define

__all__ = ["bridge", "no_redis", "send"]


@pytest.fixture
def orders(redis, db) -> Any:
    """The stream."""
    return define(STREAM, {"order-placed": None})


class Api:
    """Asks about the groups of the stream; gives the status and the document."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.base = f"/streams/{STREAM}/groups"

    def __call__(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        data = b"" if body is None else orjson.dumps(body)
        answer = self._client.generic(method, f"{self.base}{path}", data, content_type="application/json")
        return answer.status_code, orjson.loads(answer.content)

    def group(self, name: str = "warehouse") -> Any:
        return next(row for row in self("GET")[1]["groups"] if row["name"] == name)


@pytest.fixture
def api(client, orders) -> Api:
    return Api(client)
