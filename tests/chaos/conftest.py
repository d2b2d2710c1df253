"""The scene that workers are cut off in, and a way to send a command."""

import pytest

from streams.broker import SyncExecutor
from tests.bridges.conftest import durable_valkey, send
from tests.chaos.scene import Scene

__all__ = ["durable_valkey", "send"]


@pytest.fixture(params=["none", "key"])
def scene(request: pytest.FixtureRequest, redis, executor: SyncExecutor, tmp_path) -> Scene:
    """A group whose worker needs every script; in no order, and by key."""
    return Scene(redis, tmp_path, request.param).set(executor)
