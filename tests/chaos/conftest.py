"""The scene that workers are cut off in, and a way to send a command."""

from collections.abc import Iterator

import pytest

from streams.broker import SyncExecutor
from tests.chaos.scene import Scene
from tests.conftest import using
from tests.valkey import Valkey, running_valkey


@pytest.fixture(params=["none", "key"])
def scene(request: pytest.FixtureRequest, redis, executor: SyncExecutor, tmp_path) -> Scene:
    """A group whose worker needs every script; in no order, and by key."""
    return Scene(redis, tmp_path, request.param).set(executor)


@pytest.fixture
def send(executor: SyncExecutor):
    """Send one command and return its parsed reply."""
    return lambda command: executor.execute([command])[0]


@pytest.fixture
def durable_valkey(settings) -> Iterator[Valkey]:
    """A server of the test's own that keeps what it holds when it is killed."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server, using(server, settings):
        yield server
