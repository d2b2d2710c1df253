"""The scene that workers are cut off in, and a way to send a command."""

import pytest

from synapse.delivery import group_upkeep
from synapse.redis import SyncExecutor
from tests.bridges.conftest import durable_valkey, send
from tests.chaos.scene import Scene

__all__ = ["durable_valkey", "send"]


@pytest.fixture(params=["none", "key"])
def scene(request: pytest.FixtureRequest, redis, executor: SyncExecutor, tmp_path, monkeypatch) -> Scene:
    """A group whose worker needs every script; in no order, and by key. It removes a consumer that has nothing."""
    monkeypatch.setattr(group_upkeep, "_FORGOTTEN_MS", 0)
    return Scene(redis, tmp_path, request.param).set(executor)
