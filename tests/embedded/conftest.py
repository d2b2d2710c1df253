"""An embedded server for each test, in a folder of its own, gone when the test is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse.redis.embedded import EmbeddedRedis, EmbeddedRedisError
from synapse.redis.embedded.process import find_server
from tests.conftest import need


@pytest.fixture(scope="session")
def _binary() -> None:
    try:
        find_server()
    except EmbeddedRedisError as error:
        need(None, str(error))


@pytest.fixture
def said() -> list[str]:
    """What the supervisor told, line by line."""
    return []


@pytest.fixture
def embedded(_binary: None, tmp_path: Path, said: list[str]) -> Iterator[EmbeddedRedis]:
    redis = EmbeddedRedis(tmp_path / "redis", say=said.append)
    yield redis
    redis.stop()
