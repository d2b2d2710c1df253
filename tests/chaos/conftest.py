"""The scene, and how long the long profile takes its time."""

import pytest

from streams.broker import SyncExecutor
from tests.chaos.scene import Scene


@pytest.fixture(params=["none", "key"])
def scene(request: pytest.FixtureRequest, redis, executor: SyncExecutor, tmp_path) -> Scene:
    """A group whose worker needs every script; in no order, and by key."""
    return Scene(redis, tmp_path, request.param).set(executor)
